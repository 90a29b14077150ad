"""The same network and the same step, by gpucnn and by others."""
