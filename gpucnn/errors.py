"""The errors a user can cause, each with a message that stands alone and an exit code.

A message names the file, line or argument, the value, the rule and what to do. The command line prints it
without a traceback and exits with `exit_code`: 2 where what was asked is wrong, 1 where carrying it out failed.
"""

from __future__ import annotations


class GpucnnError(Exception):
    """Base of every error that is not a bug of gpucnn."""

    exit_code = 1


class ArgumentError(GpucnnError, ValueError):
    """An argument of a function, a layer or a command that breaks a rule."""

    exit_code = 2


class ShapeError(ArgumentError):
    """An array or a layer's input whose shape does not fit.

    location: where the layer stands in its config, as keys and indices below `model`; empty outside of a network.
    """

    def __init__(self, message: str, location: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.location = location


class ConfigError(GpucnnError):
    """All that is wrong with an experiment's file, one line a problem."""

    exit_code = 2


class DeviceError(GpucnnError):
    """A device that was asked for and cannot be used."""


class DataError(GpucnnError):
    """A data set that is missing, damaged or inconsistent."""


class CheckpointError(GpucnnError):
    """A checkpoint that is missing, damaged or of another network."""


class RunError(GpucnnError):
    """A run folder that cannot be made, resumed or read."""


class OutOfMemory(GpucnnError, MemoryError):  # noqa: N818 - MemoryError is it already
    """Memory, the machine's or a device's, that does not suffice."""


class NonFiniteError(GpucnnError):
    """A loss, activation or gradient that is infinite or not a number."""
