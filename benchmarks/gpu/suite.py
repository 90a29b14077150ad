"""The convolutions whose single passes are timed: those of the networks that CNNs are judged by. Needs no PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass

PASSES = ("forward", "backward data", "backward weight")


@dataclass(frozen=True)
class Shape:
    """Images N x H x W x C, K kernels of R x R, as many of them see a channel as groups leave."""

    name: str
    n: int
    size: int
    c: int
    k: int
    r: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def output(self) -> int:
        """Height and width of the output."""
        return (self.size + 2 * self.padding - self.r) // self.stride + 1

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of x, w and y (NHWC, KRSC)."""
        x, y = (self.n, self.size, self.size, self.c), (self.n, self.output, self.output, self.k)
        return x, (self.k, self.r, self.r, self.c // self.groups), y

    @property
    def operations(self) -> int:
        """Multiplications and additions of a pass, which every pass has as many of."""
        _, w, y = self.shapes
        return 2 * math.prod(y) * math.prod(w[1:])

    @property
    def elements(self) -> int:
        """How many numbers a pass moves at least: two of x, w and y are read, the third is written.

        Of x those count that a kernel meets: with 1x1 kernels and stride 2, a quarter of them.
        """
        _, w, y = self.shapes
        return self.n * met(self.size, self.output, self.r, self.stride) ** 2 * self.c + math.prod(w) + math.prod(y)

    def terms(self, name: str) -> int:
        """Of how many products an element is a sum."""
        k, r, s, depth = self.shapes[1]
        return {PASSES[0]: r * s * depth, PASSES[1]: r * s * k // self.groups}.get(name, self.n * self.output**2)


def met(size: int, output: int, kernel: int, stride: int) -> int:
    """Return how many positions of an axis kernels meet at most.

    >>> met(8, 4, 3, 2), met(8, 4, 1, 2)
    (8, 4)
    """
    return min(size, output * kernel) if kernel < stride else size


def _same(name: str, n: int, size: int, c: int, k: int, r: int = 3, **rest: int) -> Shape:
    """Return a convolution whose output is as large as its input, or the stride's part of it."""
    return Shape(name, n, size, c, k, r, padding=r // 2, **rest)


SUITE = [
    _same("LeNet 1-6 5x5 @28", 512, 28, 1, 6, 5),
    Shape("LeNet 6-16 5x5 @14", 512, 14, 6, 16, 5),
    _same("ResNet-20 16 @32", 128, 32, 16, 16),
    _same("ResNet-20 32 @16", 128, 16, 32, 32),
    _same("ResNet-20 64 @8", 128, 8, 64, 64),
    _same("ResNet-20 16-32 /2 @32", 128, 32, 16, 32, stride=2),
    _same("airbench 24-64 @31", 1024, 31, 24, 64),
    _same("airbench 64-256 @15", 1024, 15, 64, 256),
    _same("airbench 256 @7", 1024, 7, 256, 256),
    _same("ResNet-50 3-64 7x7 /2 @224", 128, 224, 3, 64, 7, stride=2),
    _same("ResNet-50 64 @56", 128, 56, 64, 64),
    _same("ResNet-50 128 /2 @56", 128, 56, 128, 128, stride=2),
    _same("ResNet-50 256 @14", 128, 14, 256, 256),
    _same("ResNet-50 512 @7", 128, 7, 512, 512),
    _same("ResNet-50 64-256 1x1 @56", 128, 56, 64, 256, 1),
    _same("ResNet-50 1024-256 1x1 @14", 128, 14, 1024, 256, 1),
    _same("ResNet-50 256-512 1x1 /2 @56", 128, 56, 256, 512, 1, stride=2),
    _same("VGG 64 @224", 32, 224, 64, 64),
    _same("VGG 256 @56", 32, 56, 256, 256),
    _same("depthwise 144 @56", 128, 56, 144, 144, groups=144),
    _same("depthwise 512 @14", 128, 14, 512, 512, groups=512),
]
