"""How compiled convolutions are cut into blocks of work: by shapes alone."""

from __future__ import annotations

from gpucnn.cpu.blocks import slices

BLOCK_PRODUCTS = 1 << 24
"""Multiplications of a block: enough for waking a thread to pay. Twice as many where sums have to be added."""

SUM_BYTES = 1 << 22
"""How large the sums of all blocks are together; two blocks may have larger ones."""


def blocks(units: int, products: int, sums: int = 0) -> list[slice]:
    """Return units of work in blocks. products: multiplications of a unit; sums: numbers that a block adds up, if any.

    >>> len(blocks(64, 1 << 22)), len(blocks(64, 1 << 22, sums=1000)), len(blocks(64, 1 << 22, sums=1 << 20))
    (16, 8, 2)
    """
    if not sums:
        return slices(units, products, BLOCK_PRODUCTS)
    most = max(2, SUM_BYTES // (4 * sums))
    return slices(units, products, max(2 * BLOCK_PRODUCTS, -(-units * products // most)))
