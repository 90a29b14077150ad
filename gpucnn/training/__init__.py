"""The training loop and all that a run leaves behind."""

from gpucnn.training.run import Run, load
from gpucnn.training.session import train

__all__ = ["Run", "load", "train"]
