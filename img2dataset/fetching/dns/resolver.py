"""Names → addresses, without blocking: what is asked for, and when it is asked again.

A host goes in; its addresses come out, or the failure that says why there are none. Called by the loop,
on its thread. The system's resolver loses many names of a large list; this one keeps asking until the
row's own timeout: packets get lost, and a name server that has to find out needs seconds.

Equal questions are asked once and answers are kept (both in ``lookup``), and special names
(RFC 6761) are not asked for at all.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Generic, TypeVar

from img2dataset import failures
from img2dataset.fetching.dns.lookup import ROUNDS_S, NameCache, Next, Question, Resolved
from img2dataset.fetching.dns.name_servers import IPV4, IPV6, NameServers, Records, Watch
from img2dataset.fetching.dns.system import SearchRules

# The first asking: c-ares itself repeats it for lost packets, at 20 ms an answer after 0.25 and 0.75 s.
QUICK_TIMEOUT_S, QUICK_TRIES = 1.0, 3
# c-ares stops listening for an answer after five times the mean of those that came, and what comes later is
# lost. So the later rounds have channels of their own, which forget that mean: without them 0.7 % of the
# names of a bad server stayed unfound, with them 0.005 %.
PATIENT_TIMEOUT_S, PATIENT_TRIES = 5.0, 1
MOST_QUESTIONS = 1024
# How long the addresses of one family wait for those of the other (RFC 8305, section 3).
RESOLUTION_DELAY_S = 0.05
CLOCK_INTERVAL_S = 0.05
SUSPENDED_S = 1.0
_LOOPBACK = ("127.0.0.1", "::1")

Waiting = TypeVar("Waiting")


class Resolver(Generic[Waiting]):
    """Finds addresses, and remembers them.

    Args:
        watch: see ``name_servers.Watch``.
        servers: name servers to ask, as ``system.name_server`` gives them; empty: the system's.
        timeout_s: a host that is not found by then has failed.
        min_ttl_s: answers are kept at least that long, seconds.
        max_ttl_s: answers are kept at most that long, seconds.
        rules: how short names are completed.
        hosts: the addresses of names in /etc/hosts; names in lower case.
        ipv6: ask for IPv6 addresses along with IPv4, or only when there are no others.

    Raises:
        ImportError, OSError: c-ares cannot be used, or has nobody to ask.
    """

    def __init__(
        self,
        watch: Watch,
        *,
        servers: tuple[str, ...],
        timeout_s: float,
        min_ttl_s: float,
        max_ttl_s: float,
        rules: SearchRules,
        hosts: Mapping[str, tuple[str, ...]],
        ipv6: bool,
    ) -> None:
        self._timeout_s = timeout_s
        self._rules = rules
        self._hosts = hosts
        self._kinds = (IPV6, IPV4) if ipv6 else (IPV4,)
        ask = partial(NameServers, watch, servers, longest_s=max_ttl_s)
        self._quick = ask(timeout_s=QUICK_TIMEOUT_S, tries=QUICK_TRIES, patient=False)
        self._patient = ask(timeout_s=PATIENT_TIMEOUT_S, tries=PATIENT_TRIES, patient=True)
        if not servers and not rules.has_servers and self._quick.addresses in ([], ["127.0.0.1:53"]):
            self.close()
            raise OSError("no name server is set in /etc/resolv.conf")
        self._cache = NameCache(min_ttl_s, max_ttl_s)
        self._questions: dict[str, Question[Waiting]] = {}
        self._queued: deque[Question[Waiting]] = deque()
        self._asking = 0
        self._answered: deque[tuple[Waiting, Resolved]] = deque()
        self._timers: list[tuple[float, int, int, Question[Waiting]]] = []
        self._order = 0
        self._next_clock = 0.0

    @property
    def servers(self) -> list[str]:
        """The name servers, with their ports."""
        return self._quick.addresses

    def resolve(self, host: str, waiting: Waiting, now: float) -> Resolved | None:
        """The answer for ``host`` if it is kept; None if ``answered`` will tell ``waiting``.

        Args:
            host: a name, in any case.
            waiting: given back with the answer.
            now: the present, on the monotonic clock.
        """
        host = host.lower()
        cached = self._cache.get(host, now)
        if cached is not None:
            return cached
        question = self._questions.get(host)
        if question is None:
            local = self._local(host)
            if local is not None:
                return local
            question = Question(host, self._rules.candidates(host), self._kinds, now + self._timeout_s)
            self._questions[host] = question
            self._next_clock = self._next_clock or now + CLOCK_INTERVAL_S
            if self._asking < MOST_QUESTIONS:
                self._begin(question, now)
            else:
                self._queued.append(question)
        question.waiting.append(waiting)
        return None

    def turn(self, now: float) -> None:
        """Ask again what is due, and give up what is overdue."""
        if self._next_clock and now - self._next_clock > SUSPENDED_S:
            # The program stood still, not the servers.
            for question in self._questions.values():
                question.deadline += now - self._next_clock
        self._take_answers()
        while self._timers and self._timers[0][0] <= now:
            _, _, number, question = heapq.heappop(self._timers)
            if question.resolved is None and question.number == number:
                self._due(question, now)
        if self._next_clock and now >= self._next_clock:
            self._quick.look_at_clocks()
            self._patient.look_at_clocks()
            self._take_answers()
            self._next_clock = now + CLOCK_INTERVAL_S if self._questions else 0.0
        while self._queued and (self._asking < MOST_QUESTIONS or self._queued[0].deadline <= now):
            question = self._queued.popleft()
            if question.deadline <= now:
                question.give_up()
                self._end(question, now)
            else:
                self._begin(question, now)

    def next_due(self) -> float | None:
        """When ``turn`` or ``answered`` has something to do though no packet comes."""
        if self._answered or self._quick.has_answers or self._patient.has_answers:
            return 0.0
        return self._next_clock or None

    def answered(self) -> Iterator[tuple[Waiting, Resolved]]:
        """Who has an answer by now; each is then forgotten here."""
        while self._answered:
            yield self._answered.popleft()

    def close(self) -> None:
        """Drop every question."""
        self._quick.close()
        self._patient.close()

    def _local(self, host: str) -> Resolved | None:
        name = host.removesuffix(".")
        if name in self._hosts:
            return Resolved(self._hosts[name])
        if name == "localhost" or name.endswith(".localhost"):
            return Resolved(_LOOPBACK)
        if name.endswith((".invalid", ".onion")):
            return Resolved((), failures.DNS_NOT_FOUND)
        return None

    def _begin(self, question: Question[Waiting], now: float) -> None:
        self._asking += 1
        question.begun = True
        self._follow(question, "next candidate", now)

    def _follow(self, question: Question[Waiting], what: Next, now: float) -> None:
        """Do what an answer leads to."""
        if what == "ended":
            self._end(question, now)
        elif what == "soon":
            self._set_timer(now + RESOLUTION_DELAY_S, question)
        elif what in ("next candidate", "other family"):
            self._set_timer(now + ROUNDS_S[0], question)
            self._ask(question, now)

    def _take_answers(self) -> None:
        for servers in (self._quick, self._patient):
            for answered, records in servers.answers():
                answered(records)

    def _due(self, question: Question[Waiting], now: float) -> None:
        """A timer of the present candidate has run out."""
        if now >= question.deadline:
            question.give_up()
        elif question.has_addresses:
            question.end_found()
        elif question.round < len(ROUNDS_S):
            question.round += 1
            more = question.round < len(ROUNDS_S)
            wait = ROUNDS_S[question.round] - ROUNDS_S[question.round - 1] if more else float("inf")
            self._set_timer(now + wait, question)
            self._ask(question, now)
        if question.resolved is not None:
            self._end(question, now)

    def _ask(self, question: Question[Waiting], now: float) -> None:
        number = question.number
        servers = self._patient if question.round else self._quick
        for kind in question.missing:

            def came(records: Records, kind: str = kind) -> None:
                if question.number == number and question.resolved is None:
                    question.out -= 1
                    answered_at = time.monotonic()
                    self._follow(question, question.take(kind, records), answered_at)

            question.out += 1
            servers.ask(question.name, kind, now, came)

    def _end(self, question: Question[Waiting], now: float) -> None:
        assert question.resolved is not None
        if question.begun:
            self._asking -= 1
        del self._questions[question.host]
        self._cache.put(question.host, question.resolved, question.ttl_s, now)
        self._answered += [(waiting, question.resolved) for waiting in question.waiting]

    def _set_timer(self, due: float, question: Question[Waiting]) -> None:
        self._order += 1
        due = min(due, question.deadline)
        heapq.heappush(self._timers, (due, self._order, question.number, question))
