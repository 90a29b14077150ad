"""What the device can do at best, measured: bytes a second of a large copy, operations a second of a large product."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.gpu import exchange
from benchmarks.gpu.clock import Clock

COPY_BYTES = 2**29
SIZE = 8192
"""Of the square matrices."""


def use_tf32(torch: Any, allowed: bool) -> None:
    """Let PyTorch's float32 products and convolutions use TF32, or not."""
    word = "tf32" if allowed else "ieee"
    for place in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):
        if hasattr(place, "fp32_precision"):
            place.fp32_precision = word
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # before PyTorch 2.9
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def ceilings(torch: Any, clock: Clock) -> dict[str, float]:
    """Return bytes a second, counting those read and written, and operations a second in float32, TF32 and halves."""
    found = {"bytes": 2 * COPY_BYTES / _copy(torch, clock)}
    for name, allowed in (("float32", False), ("tf32", True), ("bfloat16", False), ("float16", False)):
        use_tf32(torch, allowed)
        dtype = getattr(torch, "float32" if name == "tf32" else name)
        a, b = (torch.randn(SIZE, SIZE, device=exchange.WHERE).to(dtype) for _ in range(2))
        found[name] = 2 * SIZE**3 / _product(torch, clock, a, b)
    return found


def _copy(torch: Any, clock: Clock) -> float:
    source = torch.randn(COPY_BYTES // 4, device=exchange.WHERE)
    target = torch.empty_like(source)
    return _median(clock, lambda _: target.copy_(source), 10)


def _product(torch: Any, clock: Clock, a: Any, b: Any) -> float:
    return _median(clock, lambda _: torch.mm(a, b), 3)


def _median(clock: Clock, call: Any, calls: int) -> float:
    clock.called(call, calls)
    return median(clock.queued(call, calls) for _ in range(5))
