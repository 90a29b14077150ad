"""Stopping a run: the first SIGINT or SIGTERM lets the step under way end, the second ends the process at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from gpucnn.errors import GpucnnError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(GpucnnError):  # noqa: N818 - a wish, not an error
    """A run that was stopped by a signal; its exit code is the shell's for it: 130 for SIGINT, 143 for SIGTERM."""

    def __init__(self, number: signal.Signals, message: str = "") -> None:
        super().__init__(message or f"stopped by {number.name}")
        self.signal = number
        self.exit_code = 128 + number


class Interrupts:
    """While entered, the first SIGINT or SIGTERM is remembered, for `check` to raise where it is safe to stop.

    A second one raises at once, wherever the program is: KeyboardInterrupt, or SystemExit(143) for SIGTERM. The
    handlers that were there come back on leaving. Outside of the main thread, where Python cannot install
    handlers, nothing is done.
    """

    def __init__(self) -> None:
        self._pending: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def pending(self) -> bool:
        """Whether a signal came."""
        return self._pending is not None

    def check(self) -> None:
        """Raise Interrupted if a signal came."""
        if self._pending is not None:
            raise Interrupted(self._pending)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not Python's own

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._pending is None:
            self._pending = signal.Signals(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)
