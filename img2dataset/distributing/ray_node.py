"""One node of a Ray cluster, seen from the program: its actor, what it was given, what it has said.

There is at most one call to the actor under way, so that what it says comes in order. For ``ray_cluster``.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from img2dataset.distributing.ray_member import News, NodeMember
from img2dataset.types import PlannedShard, Status

# An actor that gets no cores for so long asks for half of them: others use the rest.
PENDING_S = 20.0
# What a node is given to put its last note.
CLOSING_S = 5.0
# Of methods at once: the exchange, and a stop or the end while one waits.
_THREADS = 4


class Node:
    """A node and its actor, from the question whether it can do the run to its end.

    Args:
        node_id, address: as Ray has them.
        processes: worker processes there, a core each.
        question: see ``reaching``.
    """

    def __init__(self, node_id: str, address: str, processes: int, question: str) -> None:
        self.node_id = node_id
        self.address = address
        self.shards: dict[int, PlannedShard] = {}
        self.wants = 0
        self.is_able = False
        self.is_at_work = False
        # How many share hosts' bounds, as far as it was told, and which it is.
        self.members = 0
        self.number: int | None = None
        self.is_idle = True
        self.rows: dict[str, int] = {}
        self.rows_reported: Counter[Status] = Counter()
        self._processes = processes
        self._question = question
        self._patience_s = PENDING_S
        self._ask()

    def _ask(self) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Not soft: were the node lost meanwhile, two actors would share another one. This one then fails, and
        # its shards go elsewhere.
        options = {
            "num_cpus": self._processes,
            "max_concurrency": _THREADS,
            "max_restarts": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(self.node_id, soft=False),
        }
        self._actor: Any = ray.remote(NodeMember).options(**options).remote()
        self._call: Any = self._actor.answer.remote(self._question)
        self._asked_at = time.monotonic()

    @property
    def rows_done(self) -> Counter[Status]:
        """The rows of this node, those of open shards too."""
        return max(Counter(cast("dict[Status, int]", self.rows)), self.rows_reported, key=Counter.total)

    @property
    def can_be_asked(self) -> bool:
        """Whether no call is under way."""
        return self.is_at_work and self._call is None

    @staticmethod
    def with_news(nodes: Iterable[Node], wait_s: float) -> list[Node]:
        """The nodes that have answered; waits so long for the first one."""
        import ray

        calls = {node._call: node for node in nodes if node._call is not None}
        if not calls:
            time.sleep(wait_s / 10)
            return []
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=wait_s)
        if ready and len(calls) > 1:
            ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return [calls[call] for call in ready]

    def take(self) -> str | News | None:
        """What the call that is over has brought: the answer to the question, news, or nothing.

        Raises:
            Exception: of Ray; the node is lost.
        """
        import ray

        call, self._call = self._call, None
        said: str | News | None = ray.get(call)
        if isinstance(said, News):
            self.wants, self.is_idle = said.wants, said.is_idle
        elif said is None:
            self.is_at_work = True
        return said

    def begin(self, task: bytes, members: int, number: int) -> None:
        """Have it be a member of the run, the ``number``-th of so many; ``take`` gives None when it is."""
        self.members, self.number = members, number
        name = f"ray-{self.address}-{self.node_id[:6]}"
        self._call = self._actor.begin.remote(task, name, self._processes, members, number)

    def exchange(self, shards: list[PlannedShard], is_end: bool) -> None:
        """Give it shards, and ask for its news."""
        self.shards.update((shard.shard_id, shard) for shard in shards)
        self.wants = 0
        self._call = self._actor.exchange.remote([shard.to_json() for shard in shards], is_end)

    def ask_for_less_if_it_waits(self) -> None:
        """Let the actor have fewer cores, where others use the rest of the node."""
        import ray

        is_pending = not self.is_able and self._call is not None
        if is_pending and self._processes > 1 and time.monotonic() - self._asked_at > self._patience_s:
            ray.kill(self._actor)
            self._processes //= 2
            self._patience_s *= 2  # it may be the start that takes so long
            self._ask()

    def stop(self) -> None:
        """Tell it to stop."""
        self.is_idle = False
        if self.is_at_work:
            self._actor.stop.remote()
            if self._call is None:
                self.exchange([], is_end=True)

    def close(self, is_over: bool) -> None:
        """End the actor; ``is_over``: it has done all it was given, and may put its last note."""
        import ray

        with contextlib.suppress(Exception):  # it may be gone
            if is_over and self.is_at_work:
                ray.get(self._actor.close.remote(), timeout=CLOSING_S)
        with contextlib.suppress(Exception):
            ray.kill(self._actor)
