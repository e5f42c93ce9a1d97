"""Asking a run to stop: from a signal, at any moment, without doing anything in the signal handler itself."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

STOPPING_LINE = (
    b"\nimg2dataset: stopping: what is under way is finished and kept, a few seconds; a second signal ends it"
    b" at once\n"
)


class StopRequest:
    """Whether the run is to stop, and by which signal. Made by who starts a run, looked at by the pool."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._listener: Callable[[], None] | None = None

    @property
    def made(self) -> bool:
        """Whether the run is to stop."""
        return self.signal_number is not None

    def make(self, signal_number: int) -> None:
        """Ask for a stop. Safe in a signal handler."""
        self.signal_number = signal_number
        if self._listener is not None:
            self._listener()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Have ``listener`` called when a stop is asked for; it must be safe in a signal handler."""
        self._listener = listener


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A message that wakes an engine: look at the ``StopRequest``."""


class StoppedEarly(BaseException):
    """A signal came before there was anything to stop well."""

    def __init__(self, signal_number: int):
        self.signal_number = signal_number


@contextlib.contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into a request to stop; a second one ends the program at once.

    Workers notice that their parent is gone; what is unfinished stands under temporary names.
    """

    def handle(signal_number: int, frame: FrameType | None) -> None:
        if request.made:
            os._exit(exit_status_of(signal_number))
        if request._listener is None:
            request.signal_number = signal_number
            raise StoppedEarly(signal_number)
        # Not print: it may be what the signal interrupted.
        with contextlib.suppress(OSError):
            os.write(2, STOPPING_LINE)
        request.make(signal_number)

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    # One that is ignored, as SIGHUP is under nohup, stays so.
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status_of(signal_number: int) -> int:
    """The exit status of a program that a signal stopped; a closed terminal counts as SIGTERM."""
    return 128 + (signal.SIGTERM if signal_number == signal.SIGHUP else signal_number)
