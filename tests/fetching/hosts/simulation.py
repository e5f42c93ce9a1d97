"""Scripted hosts and a clock that nobody waits for, through the real scheduler; and the page of host states.

``python -m tests.fetching.hosts.simulation > docs/host-states.md`` writes the page anew.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching import FetchSettings
from img2dataset.fetching.hosts import states
from img2dataset.fetching.hosts.states import TRANSITIONS, HostState
from img2dataset.fetching.http.response_head import Answer
from img2dataset.fetching.requests.ledger import Download, Ledger
from img2dataset.fetching.requests.outcomes import another_try_s
from img2dataset.fetching.requests.scheduler import Scheduler
from img2dataset.types import Row

PAGE = Path(__file__).resolve().parents[3] / "docs" / "host-states.md"
TIMEOUT_S = 10.0
CONCURRENCY = 256
# How often the states are looked at, and the seconds that one sign of a line of the picture stands for.
TICK_S = 0.25
SECONDS_A_SIGN = 2.0
SIGNS = dict(zip(HostState, ".atAPLpC", strict=True))


@dataclass(frozen=True)
class Reply:
    """What becomes of a request: ``after_s`` it ends so; ``first_byte_s`` after its start something comes."""

    after_s: float
    status: int | None = 200
    failure: Failure | None = None
    retry_after: str | None = None
    first_byte_s: float | None = None


OK = Reply(0.05)
SILENCE = Reply(TIMEOUT_S, None, failures.TIMEOUT_SILENCE)
REFUSED = Reply(0.01, None, failures.CONNECTION_REFUSED)


@dataclass
class ScriptedHost:
    """A host: ``reply(now)`` says what becomes of a request sent then; ``rows`` are asked for each 5 s.

    Attributes:
        story: what is behind it, for the page.
        requests: when requests were sent.
        disturbed: how many of them while nothing was to be asked of it.
        line: its state, looked at each tick.
        seen: the transitions it has made.
        outcomes: of its rows.
    """

    name: str
    story: str
    reply: Callable[[float], Reply]
    rows: int = 40
    requests: list[float] = field(default_factory=list)
    line: list[HostState] = field(default_factory=list)
    seen: set[tuple[HostState, HostState]] = field(default_factory=set)
    outcomes: Counter[str | None] = field(default_factory=Counter)
    running: int = 0
    most_running: int = 0
    disturbed: int = 0
    state: HostState = HostState.NEW

    @property
    def picture(self) -> str:
        """A sign for each ``SECONDS_A_SIGN``: the state that took most of the time."""
        step = int(SECONDS_A_SIGN / TICK_S)
        parts = (self.line[start : start + step] for start in range(0, len(self.line), step))
        return "".join(SIGNS[Counter(part).most_common(1)[0][0]] for part in parts)


def limited(per_s: int, retry_after: str | None = None, status: int = 429) -> Callable[[float], Reply]:
    """Accepts so many requests in each whole second."""
    counts: Counter[int] = Counter()

    def reply(now: float) -> Reply:
        counts[int(now)] += 1
        return OK if counts[int(now)] <= per_s else Reply(0.02, status, None, retry_after)

    return reply


def between(start_s: float, end_s: float, then: Reply, otherwise: Reply = OK) -> Callable[[float], Reply]:
    """``then`` to requests sent from ``start_s`` to ``end_s``."""
    return lambda now: then if start_s <= now < end_s else otherwise


def first(replies: list[Reply], otherwise: Reply = OK) -> Callable[[float], Reply]:
    """``replies`` to the first requests, in their order."""
    left = replies[::-1]
    return lambda now: left.pop() if left else otherwise


def hosts() -> list[ScriptedHost]:
    """One of each kind."""
    chance = random.Random(1)
    pushed, overloaded = Reply(0.02, 429), Reply(0.02, 503)
    asks_for_5_s, asks_for_an_hour = Reply(0.02, 429, None, "5"), Reply(0.02, 429, None, "3600")
    late_429, late_503 = Reply(3.0, 429), Reply(3.0, 503)
    late_hour = Reply(0.5, 429, None, "3600")
    asks_for_too_long, ten_a_second = Reply(0.02, 429, None, "125"), limited(10)
    return [
        ScriptedHost("well", "answers in 50 ms", lambda now: OK),
        ScriptedHost("slow", "answers after three seconds", lambda now: Reply(3.5, first_byte_s=3.0)),
        ScriptedHost("silent", "takes connections and says nothing", lambda now: SILENCE),
        ScriptedHost("silent, few", "the same, asked for few rows", lambda now: SILENCE, rows=2),
        ScriptedHost("back", "says nothing for 65 s, then answers", between(0, 65, SILENCE)),
        ScriptedHost("limited", "429 to all but ten a second", limited(10), rows=45),
        ScriptedHost("polite", "the same, with Retry-After: 2", limited(10, "2"), rows=35),
        ScriptedHost("refusing", "refuses every connection", lambda now: REFUSED),
        ScriptedHost("dying", "answers, refuses from 20 s to 100 s, answers", between(20, 100, REFUSED)),
        ScriptedHost("unwilling", "429 to everything", lambda now: pushed),
        ScriptedHost("hour", "asks at 20 s for an hour", between(20, 21, asks_for_an_hour)),
        ScriptedHost("too long", "asks at 20 s for 125 s", between(20, 21, asks_for_too_long)),
        ScriptedHost(
            "both",
            "429 to all but ten a second; asks at 20 s for 125 s",
            lambda now: asks_for_too_long if 20 <= now < 21 else ten_a_second(now),
            rows=45,
        ),
        ScriptedHost("rarely", "429 to one in 200", lambda now: pushed if chance.random() < 0.005 else OK),
        ScriptedHost("once later", "429 from 30 s to 31 s", between(30, 31, pushed)),
        ScriptedHost("changing", "429, and meanwhile asks for an hour", first([pushed, late_hour])),
        ScriptedHost("overloaded", "503 from 20 s to 21 s", between(20, 21, overloaded)),
        ScriptedHost("late 429", "its first answers come late, and are 429", between(0, 2, late_429)),
        ScriptedHost("late 503", "its first answers come late, and are 503", between(0, 2, late_503)),
        ScriptedHost("first 503", "its first answers are 503", first([overloaded] * 5)),
        ScriptedHost("once", "its first answer asks for 5 s, then it answers", first([asks_for_5_s]), rows=1),
    ]


class Simulation:
    """Submits rows of ``hosts`` for ``seconds`` of a clock of its own, and runs until all are answered."""

    def __init__(self, hosts: list[ScriptedHost], seconds: float, **settings: object) -> None:
        self.hosts = {f"{number}.example": host for number, host in enumerate(hosts)}
        self.now = 0.0
        self._settings = FetchSettings(thread_count=CONCURRENCY, adaptive_thread_count=False, **settings)  # type: ignore[arg-type]
        self._ledger = Ledger()
        self._scheduler = Scheduler(
            self._settings, self._ledger, lambda: 1, self._answer, clock=lambda: self.now
        )
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = self._rows = self.in_flight = self.answered = 0
        self._chance = random.Random(7)
        for start in range(0, int(seconds), 5):
            self._at(float(start), self._submit)
        self._at(0.0, self._tick)
        self.submits_until = seconds

    def run(self) -> None:
        """To the end: the last row was submitted and answered."""
        while self.now < self.submits_until or self.answered < self._rows:
            while self.in_flight < CONCURRENCY and (download := self._scheduler.next(self.now)) is not None:
                self._scheduler.take()
                self._request(download)
            due = self._scheduler.next_due(self.now)
            if due is not None and due <= self._events[0][0]:
                self.now = max(self.now, due)
                continue
            self.now, _, act = heapq.heappop(self._events)
            act()

    def _at(self, when: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, act))

    def _submit(self) -> None:
        rows = []
        for name, host in self.hosts.items():
            rows += [f"http://{name}/{self._rows + n}.jpg" for n in range(host.rows)]
        self._chance.shuffle(rows)
        self._ledger.submit(Row(0, self._rows + index, url) for index, url in enumerate(rows))
        self._rows += len(rows)

    def _tick(self) -> None:
        for name, host in self.hosts.items():
            self._look(name)
            host.line.append(host.state)
        self._at(self.now + TICK_S, self._tick)

    def _look(self, name: str) -> None:
        host, state = self.hosts[name], self._scheduler._hosts.state(name, self.now)
        if state is not host.state:
            host.seen.add((host.state, state))
            host.state = state

    def _request(self, download: Download) -> None:
        host, started_at = self.hosts[download.host], self.now
        host.requests.append(self.now)
        if self._scheduler._hosts.state(download.host, self.now) in (HostState.CLOSED, HostState.LEFT_ALONE):
            host.disturbed += 1
        host.running += 1
        host.most_running = max(host.most_running, host.running)
        self.in_flight += 1
        self._look(download.host)
        reply = host.reply(self.now)
        if reply.first_byte_s is not None:
            self._at(self.now + reply.first_byte_s, lambda: self._hear(download))
        self._at(self.now + reply.after_s, lambda: self._end(download, reply, started_at))

    def _hear(self, download: Download) -> None:
        self._look(download.host)
        self._scheduler.heard_from(download, self.now)
        self._look(download.host)

    def _end(self, download: Download, reply: Reply, started_at: float) -> None:
        self._look(download.host)
        self._leave(download, reply, started_at)
        self._look(download.host)

    def _leave(self, download: Download, reply: Reply, started_at: float) -> None:
        self.hosts[download.host].running -= 1
        self.in_flight -= 1
        failure, answer = reply.failure, None
        if reply.status is not None:
            failure = None if reply.status == 200 else failures.of_status(reply.status)
            answer = Answer(reply.status, failure, retry_after=reply.retry_after)
        if self._scheduler.leave(download, started_at, failure, answer):
            return
        if failure is None:
            self._answer(download, None)
            return
        delay_s = another_try_s(
            download, failure, self._settings.retries, reply.retry_after, self.now, self._chance.random
        )
        if delay_s is None:
            self._scheduler.refuse(download, failure, self.now)
        else:
            download.tries += 1
            self._scheduler.put_later(download, self.now + delay_s)

    def _answer(self, download: Download, failure: Failure | None) -> None:
        assert self._ledger.close(download), "a row was answered twice"
        self.answered += 1
        self.hosts[download.host].outcomes[failure] += 1

    @property
    def rows(self) -> int:
        return self._rows


def picture_of(simulated: list[ScriptedHost]) -> str:
    """The states of the hosts over the time, a line each."""
    width = max(len(host.name) for host in simulated)
    return "\n".join(f"{host.name:{width}} {host.picture}" for host in simulated)


def page(simulated: list[ScriptedHost]) -> str:
    """The documentation of host states, from the table of transitions and a simulation."""
    arrows = "\n".join(f"    {each.before.name} --> {each.after.name}" for each in TRANSITIONS)
    return f"""# What a host goes through

Made from `img2dataset/fetching/hosts/states.py` by `tests/fetching/hosts/simulation.py`; a test holds it
to both.

## States

| state | what is known |
| --- | --- |
{chr(10).join(f"| {state.name} | {state.value} |" for state in HostState)}

```mermaid
stateDiagram-v2
    [*] --> NEW
{arrows}
```

| from | to | when |
| --- | --- | --- |
{chr(10).join(f"| {each.before.name} | {each.after.name} | {each.when} |" for each in TRANSITIONS)}

## Figures

| figure | value |
| --- | --- |
{chr(10).join(f"| `{name}` | {value:g} |" for name, value in figures().items())}

## A simulation

Scripted hosts, each of which is asked for some rows every five seconds for three minutes, through the real
scheduler, by a clock of its own. A sign is {SECONDS_A_SIGN:g} s:
{", ".join(f"`{SIGNS[state]}` {state.name}" for state in HostState)}.

```
{picture_of(simulated)}
```

| host | what it does | requests | rows that succeeded | rows that failed |
| --- | --- | --- | --- | --- |
{chr(10).join(_line(host) for host in simulated)}
"""


def figures() -> dict[str, float]:
    """Every constant of the page of host states."""
    return {name: value for name, value in vars(states).items() if isinstance(value, int | float)}


def simulate() -> Simulation:
    """The simulation that is drawn."""
    simulation = Simulation(hosts(), 180.0)
    simulation.run()
    return simulation


def _line(host: ScriptedHost) -> str:
    failed = ", ".join(
        f"{count} × {text}"
        for text, count in sorted(
            (str(text), count) for text, count in host.outcomes.items() if text is not None
        )
    )
    return f"| {host.name} | {host.story} | {len(host.requests)} | {host.outcomes[None]} | {failed} |"


if __name__ == "__main__":
    print(page(list(simulate().hosts.values())), end="")
