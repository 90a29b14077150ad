"""One line of a terminal that says what is being done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def status() -> Iterator[Callable[[str], object]]:
    """Yield what shows in one line of a terminal what is being done; nothing elsewhere."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        # Without a thread that refreshes it, which would take time from what is measured.
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda text: live.update(Text(text, overflow="ellipsis", no_wrap=True), refresh=True)
    else:
        yield lambda _: None
