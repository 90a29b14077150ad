"""Where a training step's time goes: what `gpucnn profile` does."""
