"""The experiment file: read with positions, overridden, checked as a whole, and written back."""

from gpucnn.config.experiment import Data, EarlyStopping, Every, Experiment, Statistics, Training
from gpucnn.config.loading import load, to_yaml

__all__ = ["Data", "EarlyStopping", "Every", "Experiment", "Statistics", "Training", "load", "to_yaml"]
