"""The training loop and all that a run leaves behind; `gpucnn.train` and `gpucnn.load` are its front door."""
