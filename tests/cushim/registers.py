"""What every kernel takes of a multiprocessor, as a table: `PYTHONPATH=.:tests python -m cushim.registers`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from cushim.nvrtc import Usage, compiled
from gpucnn.cuda.sources import DTYPES, compiled_for, files_of, kernels, source

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")

Usages = dict[tuple[str, str], dict[str, Usage]]
"""(dtype, architecture) -> kernel -> what it takes."""


def usages() -> Usages:
    """Return what every kernel takes for every dtype and architecture it is compiled for: some minutes of compiling."""
    cases = list(product(DTYPES, ARCHITECTURES))
    with ThreadPoolExecutor() as pool:
        return dict(zip(cases, pool.map(lambda case: compiled(sources(*case), case[1])[0], cases), strict=True))


def sources(dtype: str, architecture: str) -> str:
    """Return the text of all files that are compiled for a dtype and an architecture."""
    return source(files_of(compiled_for(dtype, number(architecture))), dtype)


def number(architecture: str) -> int:
    """Return the number of an architecture.

    >>> number("sm_90")
    90
    """
    return int(architecture.removeprefix("sm_"))


def table(found: Usages) -> str:
    """Return it in Markdown. Registers are those of a thread, from the least to the most of all architectures."""
    lines = [
        f"| kernel | {' | '.join(DTYPES)} | shared memory, bytes | spills, bytes |",
        "|---" * (len(DTYPES) + 3) + "|",
    ]
    for name in kernels():
        of = {case: kernel_usages[name] for case, kernel_usages in found.items() if name in kernel_usages}
        registers = [span(of[case].registers for case in of if case[0] == dtype) for dtype in DTYPES]
        shared = span(usage.shared for usage in of.values())
        spills = by_dtype(of, lambda usage: max(usage.spills, usage.stack))
        lines.append(f"| `{name}` | {' | '.join(registers)} | {shared} | {spills} |")
    return "\n".join(lines)


def span(numbers: Iterable[int]) -> str:
    """Return the least and the most of some numbers, a dash for none.

    >>> span([3, 5, 4]), span([7, 7]), span([])
    ('3-5', '7', '-')
    """
    ordered = sorted(numbers)
    if not ordered:
        return "-"
    return str(ordered[0]) if ordered[0] == ordered[-1] else f"{ordered[0]}-{ordered[-1]}"


def by_dtype(of: dict[tuple[str, str], Usage], amount: Callable[[Usage], int]) -> str:
    """Return in words for which dtypes and architectures an amount is not 0, and how large it is at most."""
    found = {}
    for dtype in DTYPES:
        where = {a: amount(usage) for (of_dtype, a), usage in of.items() if of_dtype == dtype and amount(usage)}
        if where:
            found[dtype] = f"{dtype} {max(where.values())} ({', '.join(a.removeprefix('sm_') for a in where)})"
    return "; ".join(found.values()) or "none"


if __name__ == "__main__":
    print(table(usages()))
