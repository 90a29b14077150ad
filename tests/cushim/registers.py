"""What every kernel takes of a multiprocessor, as a table: `PYTHONPATH=.:tests python -m cushim.registers`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from cushim.nvrtc import Usage, compiled
from gpucnn.cuda.sources import DTYPES, kernels, source

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")

Usages = dict[tuple[str, str], dict[str, Usage]]
"""(dtype, architecture) -> kernel -> what it takes."""


def usages() -> Usages:
    """Return what every kernel takes for every dtype and architecture: some minutes of compiling."""
    files = sorted({kernel.file for kernel in kernels().values()})
    cases = list(product(DTYPES, ARCHITECTURES))
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda case: compiled(source(files, case[0]), case[1]), cases)
        return dict(zip(cases, found, strict=True))


def table(found: Usages) -> str:
    """Return it in Markdown. Registers are those of a thread, from the least to the most of all architectures."""
    lines = [
        f"| kernel | {' | '.join(DTYPES)} | shared memory, bytes | spills, bytes |",
        "|---" * (len(DTYPES) + 3) + "|",
    ]
    for name in kernels():
        of = {case: kernel_usages[name] for case, kernel_usages in found.items()}
        registers = [span(of[dtype, a].registers for a in ARCHITECTURES) for dtype in DTYPES]
        shared = span(usage.shared for usage in of.values())
        spills = by_dtype(of, lambda usage: max(usage.spills, usage.stack))
        lines.append(f"| `{name}` | {' | '.join(registers)} | {shared} | {spills} |")
    return "\n".join(lines)


def span(numbers: Iterable[int]) -> str:
    """Return the least and the most of some numbers.

    >>> span([3, 5, 4]), span([7, 7])
    ('3-5', '7')
    """
    ordered = sorted(numbers)
    return str(ordered[0]) if ordered[0] == ordered[-1] else f"{ordered[0]}-{ordered[-1]}"


def by_dtype(of: dict[tuple[str, str], Usage], amount: Callable[[Usage], int]) -> str:
    """Return in words for which dtypes and architectures an amount is not 0, and how large it is at most."""
    found = {}
    for dtype in DTYPES:
        where = {a: amount(of[dtype, a]) for a in ARCHITECTURES if amount(of[dtype, a])}
        if where:
            found[dtype] = f"{dtype} {max(where.values())} ({', '.join(a.removeprefix('sm_') for a in where)})"
    return "; ".join(found.values()) or "none"


if __name__ == "__main__":
    print(table(usages()))
