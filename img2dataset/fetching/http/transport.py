"""libcurl's event loop: handles in, finished handles out. Knows nothing of rows, budgets or policies.

``CurlMulti.socket_action`` over epoll where there is one, else poll (libcurl's own ``select`` stops at
descriptor 1024, and ``selectors`` takes as long as libcurl itself). Used by the fetcher on its one thread;
only ``wake`` may be called from others.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable

import pycurl

# Idle connections kept beside those in use. Most hosts of a list are met once, and an idle TLS
# connection holds some 40 KB.
IDLE_CONNECTIONS = 64

# The same numbers for poll and epoll.
_IN, _OUT = select.POLLIN, select.POLLOUT
_EVENTS = {pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}


def _selected(events: int) -> int:
    """What libcurl is told: an error, or the other side's end, shows when a socket is read or written."""
    readable, writable = events & ~_OUT, events & ~_IN
    return (pycurl.CSELECT_IN if readable else 0) | (pycurl.CSELECT_OUT if writable else 0)


def _new_poll() -> tuple[select.epoll | select.poll, int]:
    """Epoll or poll, and how many of the units of its timeouts are a second."""
    return (select.epoll(), 1) if hasattr(select, "epoll") else (select.poll(), 1000)


_SELECTED = [_selected(events) for events in range(64)]


class Transport:
    """Carries any number of transfers on the calling thread."""

    def __init__(self, concurrency: int) -> None:
        self._poll, self._units_a_second = _new_poll()
        self._watched: set[int] = set()
        self._acts: dict[int, Callable[[int, bool, bool], None]] = {}
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._poll.register(self._woken.fileno(), _IN)
        self._acts[self._woken.fileno()] = self._hear
        self._timer: float | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAXCONNECTS, concurrency + IDLE_CONNECTIONS)

    def add(self, easy: pycurl.Curl) -> None:
        """Start a transfer; it is carried on by the next ``wait``."""
        self._multi.add_handle(easy)

    def remove(self, easy: pycurl.Curl) -> None:
        """Stop a transfer, or take a finished handle out; a connection that is in the middle is closed."""
        self._multi.remove_handle(easy)

    def watch(
        self, descriptor: int, readable: bool, writable: bool, act: Callable[[int, bool, bool], None]
    ) -> None:
        """Have ``wait`` call ``act(descriptor, readable, writable)`` when a socket is ready as wanted.

        Wanting neither ends it.
        """
        if self._closed:
            return
        if readable or writable:
            self._acts[descriptor] = act
        else:
            self._acts.pop(descriptor, None)
        self._want(descriptor, (_IN if readable else 0) | (_OUT if writable else 0))

    def wake(self) -> None:
        """End a ``wait`` that another thread is in. Thread safe."""
        # A full pipe wakes as well.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def wait(self, timeout_s: float | None) -> list[tuple[pycurl.Curl, int, str]]:
        """Carry the transfers on until something happens, ``timeout_s`` at most (None: no limit).

        Returns the handles that finished, each with libcurl's code (0: done) and its message.

        Raises:
            BaseException: a socket could not be watched.
        """
        if self._timer is not None:
            until_timer = max(0.0, self._timer - time.monotonic())
            timeout_s = until_timer if timeout_s is None else min(timeout_s, until_timer)
        timeout = -1 if timeout_s is None else timeout_s * self._units_a_second
        act = self._multi.socket_action
        for descriptor, events in self._poll.poll(timeout):
            own = self._acts.get(descriptor)
            if own is None:
                act(descriptor, _SELECTED[events & 63])
            else:
                own(descriptor, bool(events & ~_OUT), bool(events & ~_IN))
        if self._timer is not None and self._timer <= time.monotonic():
            self._timer = None
            act(pycurl.SOCKET_TIMEOUT, 0)
        if self._error is not None:
            raise self._error
        return self._finished()

    def close(self) -> None:
        """Close every connection. Handles must have been removed."""
        self._closed = True
        self._multi.close()
        if hasattr(self._poll, "close"):
            self._poll.close()
        self._waker.close()
        self._woken.close()

    def _finished(self) -> list[tuple[pycurl.Curl, int, str]]:
        finished: list[tuple[pycurl.Curl, int, str]] = []
        queued = 1
        while queued:
            queued, done, failed = self._multi.info_read()
            finished += [(easy, 0, "") for easy in done]
            finished += failed
        return finished

    def _hear(self, descriptor: int, readable: bool, writable: bool) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def _watch_socket(self, what: int, descriptor: int, multi: object, data: object) -> None:
        try:
            self._want(descriptor, _EVENTS.get(what, 0))
        except BaseException as error:  # libcurl would only see that its transfers do not go on
            self._error = error

    def _want(self, descriptor: int, events: int) -> None:
        """Watch a descriptor for ``events``, or no more."""
        if not events:
            self._watched.discard(descriptor)
            # Closed already, by its owner: then it is watched no more.
            with contextlib.suppress(OSError, KeyError):
                self._poll.unregister(descriptor)
            return
        if descriptor in self._watched:
            try:
                self._poll.modify(descriptor, events)
                return
            except FileNotFoundError:
                pass  # another socket of the same number
        self._poll.register(descriptor, events)
        self._watched.add(descriptor)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
