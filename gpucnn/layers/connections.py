"""Which input channels each output channel of a convolution sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gpucnn.backend import Array, Device, array_module
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.problems import plural

LECUN = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"
"""Layer C3 of LeNet-5, 6 maps to 16: Y. LeCun et al., "Gradient-based learning applied to document recognition",
Proc. IEEE 1998, table I."""


class Connections:
    """A table of K rows; row k lists the channels that output k sees. `lecun` is that of LeNet-5.

    Each link, a channel in a row, has a kernel of its own: w (links, R, S), in the order of the rows. To be computed
    they are put into kernels (K, R, S, C) with zeros between them: one large product takes a tenth of the time of many
    small ones over the gathered channels of each row (docs/performance.md).

    Raises ArgumentError for a table that is none for `out_channels`.

    >>> table = Connections([[0], [0, 2]], out_channels=2)
    >>> table.place(Device("cpu"), channels=3)
    >>> table.kernels(np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1))[:, 0, 0]
    array([[1., 0., 0.],
           [2., 0., 3.]])
    """

    def __init__(self, table: Literal["lecun"] | Sequence[Sequence[int]], out_channels: int) -> None:
        self._is_lecun = table == "lecun"
        rows = LECUN.split() if table == "lecun" else table
        self.rows = [[int(channel) for channel in row] for row in rows]
        self.links = sum(map(len, self.rows))
        self._channels = 0
        self._at: tuple[Any, ...] = ()
        if len(self.rows) != out_channels:
            raise ArgumentError(
                f"connections has {plural(len(self.rows), 'row')}, but out_channels is {out_channels}: "
                "each output channel needs a row, the list of the input channels that it sees"
            )
        for k, row in enumerate(self.rows):
            if not row:
                raise ArgumentError(f"connections: row {k} is empty: an output channel must see at least one channel")
            if twice := [channel for channel in row if row.count(channel) > 1]:
                raise ArgumentError(f"connections: row {k} has channel {twice[0]} twice")

    def check(self, channels: int) -> None:
        """Raise ShapeError unless the table fits images of so many channels."""
        if self._is_lecun and channels != 6:
            raise ShapeError(f"connections: lecun is a table for 6 input channels, but {channels} come in")
        for k, row in enumerate(self.rows):
            if max(row) >= channels:
                raise ShapeError(
                    f"connections: row {k} has channel {max(row)}, but {channels} come in: 0 to {channels - 1}"
                )

    def fans(self) -> tuple[Array, Array]:
        """Return for each link how many links end where it ends, and how many begin where it begins: (links, 1, 1)."""
        outputs, inputs = self._ends()
        fan_in, fan_out = np.bincount(outputs)[outputs], np.bincount(inputs)[inputs]
        return fan_in.reshape(-1, 1, 1), fan_out.reshape(-1, 1, 1)

    def place(self, device: Device, channels: int) -> None:
        """Get ready for kernels on a device."""
        outputs, inputs = (device.asarray(ends) for ends in self._ends())
        self._channels, self._at = channels, (outputs, slice(None), slice(None), inputs)

    def kernels(self, w: Array) -> Array:
        """Return w (links, R, S) as kernels (K, R, S, C), zero where there is no link."""
        kernels: Array = array_module(w).zeros((len(self.rows), *w.shape[1:], self._channels), w.dtype)
        kernels[self._at] = w
        return kernels

    def of_links(self, kernels: Array) -> Array:
        """Return the part (links, R, S) of kernels (K, R, S, C) that has links."""
        part: Array = kernels[self._at]
        return part

    def _ends(self) -> tuple[Array, Array]:
        """Return the output and the input channel of each link."""
        outputs = [k for k, row in enumerate(self.rows) for _ in row]
        return np.array(outputs), np.array([channel for row in self.rows for channel in row])
