"""Stopping a run by a signal, at any moment.

In: SIGINT, SIGTERM, SIGHUP. Out: a ``StopRequest`` that the engine looks at; before there is an engine, the
end of the program. Used by the command line, the api and the engines.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

STOPPING = "stopping: what is under way is finished and kept, a few seconds; a second signal ends it at once"

# What sysexits.h calls EX_TEMPFAIL: nothing is wrong, and the same command goes on.
RUN_ME_AGAIN = 75
STOPPED = "stopped; the same command goes on where it stopped"


class StopRequest:
    """Whether the run is to stop, and by which signal. Made by who starts a run, looked at by the engine.

    Args:
        of_scheduler: SIGTERM is sent by one, perhaps twice: to each process, and by the script that it runs.
            It then kills by itself what takes too long, so the second is no wish to end at once.

    ``stopping_line`` is what is said on standard error when the stop is asked for.
    """

    def __init__(self, of_scheduler: bool = False) -> None:
        self.stopping_line = f"\nimg2dataset: {STOPPING}\n".encode()
        self.of_scheduler = of_scheduler
        self.signal_number: int | None = None
        self.engine_has_begun = False
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
        """Have ``listener`` called when a stop is asked for; it must be safe in a signal handler.

        For engines: from the first call on, they end the run, and no signal breaks into it.
        """
        self.engine_has_begun = True
        self._listener = listener


class StoppedEarly(BaseException):
    """A signal came before an engine had begun; raised wherever the main thread was.

    The code that it interrupts may turn it into another error, or swallow it: the run then ends before its
    first shard. So whoever waits for the run asks the ``StopRequest`` as well.
    """


@contextlib.contextmanager
def end_on_signals(line: str) -> Iterator[None]:
    """While there is nothing to clean up: let SIGINT, SIGTERM and SIGHUP end the program, with this line.

    An exception out of the handler is no way to do that while modules are imported: one that is raised as a
    class is made comes out of it as another, or is swallowed.
    """

    def handle(signal_number: int, frame: FrameType | None) -> None:
        # Not print: it may be what the signal interrupted.
        with contextlib.suppress(OSError):
            os.write(2, f"{line}\n".encode())
        os._exit(exit_status_of(signal_number))

    with _handling(handle):
        yield


@contextlib.contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into a request to stop; a second one ends the program at once.

    Workers notice that their parent is gone; what is unfinished stands under temporary names. Before an
    engine has begun, a signal raises ``StoppedEarly`` as well, since what the program waits for then, such as
    a store, asks nobody whether to go on.
    """

    def handle(signal_number: int, frame: FrameType | None) -> None:
        if request.made and request.of_scheduler and signal_number == signal.SIGTERM:
            return
        if request.made:
            os._exit(exit_status_of(signal_number))
        if not request.engine_has_begun:
            request.signal_number = signal_number
            raise StoppedEarly
        with contextlib.suppress(OSError):
            os.write(2, request.stopping_line)
        request.make(signal_number)

    with _handling(handle), _silent_where_swallowed():
        yield


@contextlib.contextmanager
def _silent_where_swallowed() -> Iterator[None]:
    """Where Python cannot raise, as in the callback of a weak reference, it prints a traceback."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, StoppedEarly):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Give the signals that stop a program back to whom they belong, after a library has taken them.

    Spark takes SIGINT when a session is made, and Ray SIGTERM: both would end the program where it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextlib.contextmanager
def _handling(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Give the signals that stop a program to ``handle``; elsewhere than in the main thread, nothing can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # One that is ignored, as SIGHUP is under nohup, stays so; None is a handler that Python did not set.
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status_of(signal_number: int) -> int:
    """The exit status of a program that a signal stopped; a closed terminal counts as SIGTERM."""
    return 128 + (signal.SIGTERM if signal_number == signal.SIGHUP else signal_number)
