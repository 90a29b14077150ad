"""Handlers of SIGINT and SIGTERM: the first signal is remembered, the second raises, the old handlers come back."""

from __future__ import annotations

import signal
import threading

import pytest

from gpucnn.training.signals import Interrupted, Interrupts


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_waits_for_check(number: signal.Signals, code: int) -> None:
    with Interrupts() as interrupts:
        interrupts.check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted, match=f"stopped by {number.name}") as caught:
            interrupts.check()
    assert (caught.value.signal, caught.value.exit_code) == (number, code)


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_the_second_signal_raises_at_once(number: signal.Signals, kind: type[BaseException]) -> None:
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(kind) as caught:
            signal.raise_signal(number)
    if kind is SystemExit:
        assert caught.value.args == (143,)


def test_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interrupts():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_leave_handlers_alone() -> None:
    seen = []

    def work() -> None:
        with Interrupts() as interrupts:
            interrupts.check()
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
