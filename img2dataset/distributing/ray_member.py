"""What runs on each node of a Ray cluster: one actor, which is asked for news again and again.

In: texts of shards. Out: ``News``, plain values. The shards are made by a ``Member`` in a thread of its own,
in as many supervised processes as the node has cores for this run.
"""

from __future__ import annotations

import pickle
import queue
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from img2dataset.distributing.member import Member, MemberTask
from img2dataset.distributing.member_notes import NOTE_INTERVAL_S
from img2dataset.distributing.reaching import answer
from img2dataset.errors import Img2datasetError
from img2dataset.types import PlannedShard, Status, spec_of_json

# An exchange without news ends after this time, so that both sides know that the other is there.
EXCHANGE_S = 1.0
# One shard waits to be read; one more for every few processes is read already.
INBOX = 1
PROCESSES_A_SHARD_AHEAD = 8


@dataclass(slots=True)
class News:
    """What an actor says in one exchange.

    ``reports``: of shards, as text. ``wants``: how many shards it could take. ``rows``: done so far, by
    status, or None if there are no more than before. ``deaths``: why worker processes ended. ``notices``:
    what the user is to know. ``is_idle``: it has no shard. ``error``: why it cannot go on.
    """

    reports: list[str] = field(default_factory=list)
    wants: int = 0
    rows: dict[str, int] | None = None
    deaths: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    is_idle: bool = True
    error: str | None = None

    @property
    def is_worth_telling(self) -> bool:
        """Whether the other side has something to do because of it."""
        return bool(self.reports or self.deaths or self.notices or self.error)


class NodeMember:
    """The actor of a node. Its methods are called from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._news = News()
        self._told_wants = -1
        self._told_idle = False
        self._inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_draining = False
        self._thread: threading.Thread | None = None
        self._member: Member | None = None
        self._members, self._number = 1, 0

    def answer(self, question: str) -> str:
        """Whether this machine can do the run; see ``reaching``."""
        return answer(question)

    def begin(self, task: bytes, name: str, processes: int, members: int, number: int) -> None:
        """Be a member of a run; again, when there are more members.

        Args:
            task: the pickled ``MemberTask``.
            name: of the member.
            processes: worker processes.
            members, number: how many members share hosts' bounds, and which this is.
        """
        self._members, self._number = members, number
        if self._member is not None:
            return
        told: MemberTask = pickle.loads(task)
        ahead = 1 + processes // PROCESSES_A_SHARD_AHEAD
        self._member = Member(told, name, processes, NOTE_INTERVAL_S, self._show, ahead, self._notice)

    def exchange(self, texts: list[str], is_end: bool) -> News:
        """Take shards, and say what has happened since the last time; waits a second for something to happen.

        Args:
            texts: of shards, no more than were wanted.
            is_end: there are no more for now, so that the last rows can be shared out.
        """
        for text in texts:
            self._inbox.put(text)
        if texts and self._thread is None:
            self._is_draining = False
            self._thread = threading.Thread(target=self._make, name="member", daemon=True)
            self._thread.start()
        if is_end and self._thread is not None and not self._is_draining:
            self._is_draining = True
            self._inbox.put(None)
        with self._changed:
            self._changed.wait_for(self._has_news, EXCHANGE_S)
            news, self._news = self._news, News()
            news.wants, news.is_idle = self._wants(), self._thread is None
            self._told_wants, self._told_idle = news.wants, news.is_idle
        return news

    def stop(self) -> None:
        """Complete what is open, or put it aside, within some seconds."""
        if self._member is not None:
            self._member.stop.make(signal.SIGTERM)

    def close(self) -> None:
        """Put the last note."""
        if self._member is not None:
            self._member.close()

    def _has_news(self) -> bool:
        more = self._wants() > self._told_wants or (self._thread is None) != self._told_idle
        return self._news.is_worth_telling or more

    def _wants(self) -> int:
        return 0 if self._is_draining and self._thread else max(0, INBOX - self._inbox.qsize())

    def _show(self, rows: Counter[Status]) -> None:
        with self._changed:
            self._news.rows = {str(status): count for status, count in rows.items()}

    def _notice(self, text: str) -> None:
        with self._changed:
            self._news.notices.append(text)
            self._changed.notify_all()

    def _make(self) -> None:
        """One pass over what comes in, until the end of it."""
        assert self._member is not None
        deaths = len(self._member.deaths)
        try:
            for report in self._member.make(self._shards(), self._members, self._number):
                with self._changed:
                    self._news.reports.append(report.to_json())
                    self._news.deaths += self._member.deaths[deaths:]
                    deaths = len(self._member.deaths)
                    self._changed.notify_all()
        except Img2datasetError as error:
            self._news.error = str(error)
        except Exception as error:
            self._news.error = f"{type(error).__name__}: {error}"
        with self._changed:
            self._news.deaths += self._member.deaths[deaths:]
            self._thread = None
            self._changed.notify_all()

    def _shards(self) -> Iterator[PlannedShard]:
        while (text := self._inbox.get()) is not None:
            with self._changed:
                self._changed.notify_all()
            yield spec_of_json(text)
