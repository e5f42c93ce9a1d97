"""Questions to the name servers, through c-ares, on the fetcher's own thread and selector.

A full name and a record type go in; addresses and their time to live come out, or why there are none.
Called by ``resolver``, which decides what is asked, when, and again. c-ares turns to the servers in turn,
tells packets that are lost from servers that are slow, and goes over to TCP for long answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from img2dataset import failures
from img2dataset.failures import Failure

if TYPE_CHECKING:
    import pycares

# c-ares keeps every answer for up to an hour, without a bound of its own: some 1 KB each. Beginning anew
# also changes the port that questions come from, which makes answers hard to forge.
QUESTIONS_A_CHANNEL = 5000
ANSWERS_WITHOUT_MEAN = 2
# More than one new channel in that time would be too many sockets: some 160 are open where a server takes
# seconds. At three times as long c-ares soon had a mean again, and the last names took 7 s and not 4.
SHORTEST_LIFE_S = 0.03
IPV4, IPV6 = "A", "AAAA"


class Records(NamedTuple):
    """An answer: ``failure`` is None if the name exists, with or without addresses. ``ttl_s`` in seconds."""

    addresses: tuple[str, ...]
    ttl_s: float
    failure: Failure | None = None


class Watch(Protocol):
    """Have ``act(descriptor, readable, writable)`` called when a socket is ready for what is wanted."""

    def __call__(
        self, descriptor: int, readable: bool, writable: bool, act: Callable[[int, bool, bool], None]
    ) -> None: ...


class NameServers:
    """Asks the servers, any number of questions at once.

    Args:
        watch: see ``Watch``; neither readable nor writable ends it.
        servers: addresses with ports; empty: those of the system.
        timeout_s: how long an answer is waited for, seconds. After three answers c-ares makes it five times
            their mean, between 0.25 and 5 s.
        tries: questions to each server for one ``ask``.
        longest_s: an answer is not given again, from what c-ares keeps, after that many seconds.
        patient: forget the mean again and again, so that ``timeout_s`` stays.

    Raises:
        ImportError, OSError: c-ares cannot be used here.
    """

    def __init__(
        self,
        watch: Watch,
        servers: Sequence[str],
        *,
        timeout_s: float,
        tries: int,
        longest_s: float,
        patient: bool,
    ) -> None:
        import pycares

        self._patient = patient

        self._pycares = pycares
        self._watch = watch
        self._servers = list(servers)
        self._timeout_s = timeout_s
        self._tries = tries
        self._longest_s = longest_s
        self._open: list[_Channel] = []
        # Never acted on within a call of c-ares: what it leads to may be the next question.
        self._answers: deque[tuple[Callable[[Records], None], Any, int, int | None]] = deque()
        self._current = self._new_channel(0.0)

    @property
    def addresses(self) -> list[str]:
        """The servers that are asked, with their ports."""
        return list(self._current.cares.servers)

    def ask(self, name: str, kind: str, now: float, answered: Callable[[Records], None]) -> None:
        """Ask for ``name``'s addresses of one ``kind``; ``answers`` gives ``answered`` back, exactly once."""
        channel = self._current
        if self._is_used_up(channel, now):
            channel = self._current = self._new_channel(now)
        if not channel.asked:
            channel.since = now
        channel.asked += 1
        channel.out += 1
        cares = self._pycares
        record_type = cares.QUERY_TYPE_A if kind == IPV4 else cares.QUERY_TYPE_AAAA

        is_out = True

        def came(result: Any, status: int | None) -> None:
            # If nobody can be asked c-ares calls back from within ``query``, and then raises too.
            nonlocal is_out
            if is_out:
                is_out = False
                channel.out -= 1
                channel.answered += status is None
                self._answers.append((answered, result, record_type, status))

        try:
            channel.cares.query(name, record_type, callback=came)
        except cares.AresError as error:
            came(None, error.args[0])
        except UnicodeError:
            came(None, cares.errno.ARES_EBADNAME)

    @property
    def has_answers(self) -> bool:
        """Whether ``answers`` has something to give."""
        return bool(self._answers)

    def answers(self) -> Iterator[tuple[Callable[[Records], None], Records]]:
        """What has been answered by now, and to whom. New questions may be asked meanwhile."""
        while self._answers:
            answered, result, record_type, status = self._answers.popleft()
            yield answered, self._records(result, record_type) if status is None else self._failed(status)

    def look_at_clocks(self) -> None:
        """Ask again, or give up, what has been waited for long enough. To be called every 50 ms or so."""
        bad = self._pycares.ARES_SOCKET_BAD
        for channel in self._open:
            if channel.out:
                channel.cares.process_fd(bad, bad)
        if len(self._open) > 1:
            for channel in [each for each in self._open if not each.out and each is not self._current]:
                self._open.remove(channel)
                channel.cares.close()

    def close(self) -> None:
        """Drop every question; nobody is told."""
        for channel in self._open:
            channel.cares.cancel()
            channel.cares.close()
        self._open.clear()

    def _is_used_up(self, channel: _Channel, now: float) -> bool:
        age = now - channel.since
        if self._patient and channel.answered >= ANSWERS_WITHOUT_MEAN and age >= SHORTEST_LIFE_S:
            return True
        return channel.asked >= QUESTIONS_A_CHANNEL or age >= self._longest_s

    def _new_channel(self, now: float) -> _Channel:
        cares = self._pycares
        try:
            channel = _Channel(now)
            channel.cares = cares.Channel(
                flags=cares.ARES_FLAG_EDNS | cares.ARES_FLAG_NOSEARCH,
                timeout=self._timeout_s,
                tries=self._tries,
                lookups="b",
                rotate=True,
                servers=self._servers or None,
                sock_state_cb=partial(self._socket_changed, channel),
            )
        except cares.AresError as error:
            raise OSError(f"c-ares: {error}") from error
        self._open.append(channel)
        return channel

    def _socket_changed(self, channel: _Channel, descriptor: int, readable: bool, writable: bool) -> None:
        self._watch(descriptor, bool(readable), bool(writable), channel.ready)

    def _records(self, result: pycares.DNSResult, record_type: int) -> Records:
        # Only records of addresses are asked for; pycares types the data of every kind of record as one.
        addresses = tuple(record.data.addr for record in result.answer if record.type == record_type)  # type: ignore[union-attr]
        return Records(addresses, min((record.ttl for record in result.answer), default=0.0))

    def _failed(self, status: int) -> Records:
        errno = self._pycares.errno
        if status == errno.ARES_ENODATA:
            return Records((), 0.0)
        if status in (errno.ARES_ENOTFOUND, errno.ARES_EBADNAME, errno.ARES_EBADQUERY):
            return Records((), 0.0, failures.DNS_NOT_FOUND)
        if status == errno.ARES_ETIMEOUT:
            return Records((), 0.0, failures.DNS_TIMEOUT)
        if status == errno.ARES_ECONNREFUSED:
            # Nobody listens at any server's address, or there is no way there: that may pass in a moment.
            return Records((), 0.0, failures.DNS_UNREACHABLE)
        return Records((), 0.0, failures.DNS_TEMPORARY)


class _Channel:
    """A c-ares channel, since when and how often it was asked, and how many answers are out."""

    __slots__ = ("answered", "asked", "cares", "out", "since")
    cares: pycares.Channel

    def __init__(self, since: float) -> None:
        self.since = since
        self.asked = self.answered = self.out = 0

    def ready(self, descriptor: int, readable: bool, writable: bool) -> None:
        self.cares.process_fd(descriptor if readable else -1, descriptor if writable else -1)
