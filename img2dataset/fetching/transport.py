"""libcurl's event loop: handles in, finished handles out. Knows nothing of rows, budgets or policies.

``CurlMulti.socket_action`` over ``selectors`` (epoll where there is one; libcurl's own ``select`` stops at
descriptor 1024). Used by the fetcher on its one thread; only ``wake`` may be called from others.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable

import pycurl

# Idle connections kept beside those in use. Most hosts of a list are met once, and an idle TLS
# connection holds some 40 KB.
IDLE_CONNECTIONS = 64

_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_SELECTED = {
    selectors.EVENT_READ: pycurl.CSELECT_IN,
    selectors.EVENT_WRITE: pycurl.CSELECT_OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class Transport:
    """Carries any number of transfers on the calling thread."""

    def __init__(self, concurrency: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._wake_fd = self._woken.fileno()
        self._timer: float | None = None
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
        wanted = (selectors.EVENT_READ if readable else 0) | (selectors.EVENT_WRITE if writable else 0)
        if self._closed:
            return
        if not wanted:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(descriptor)
            return
        try:
            self._selector.register(descriptor, wanted, act)
        except KeyError:
            self._selector.modify(descriptor, wanted, act)

    def wake(self) -> None:
        """End a ``wait`` that another thread is in. Thread safe."""
        # A full pipe wakes as well.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def wait(self, timeout_s: float | None) -> list[tuple[pycurl.Curl, int, str]]:
        """Carry the transfers on until something happens, ``timeout_s`` at most (None: no limit).

        Returns the handles that finished, each with libcurl's code (0: done) and its message.
        """
        if self._timer is not None:
            until_timer = max(0.0, self._timer - time.monotonic())
            timeout_s = until_timer if timeout_s is None else min(timeout_s, until_timer)
        events = self._selector.select(timeout_s)
        act = self._multi.socket_action
        for key, mask in events:
            if key.data is not None:
                key.data(key.fd, bool(mask & selectors.EVENT_READ), bool(mask & selectors.EVENT_WRITE))
            elif key.fd == self._wake_fd:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            else:
                act(key.fd, _SELECTED[mask])
        if self._timer is not None and self._timer <= time.monotonic():
            self._timer = None
            act(pycurl.SOCKET_TIMEOUT, 0)
        return self._finished()

    def close(self) -> None:
        """Close every connection. Handles must have been removed."""
        self._closed = True
        self._multi.close()
        self._selector.close()
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

    def _watch_socket(self, what: int, descriptor: int, multi: object, data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(descriptor)
            return
        try:
            self._selector.register(descriptor, _EVENTS[what])
        except KeyError:
            self._selector.modify(descriptor, _EVENTS[what])

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
