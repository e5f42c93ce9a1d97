"""The engine of Ray: ``--distributor ray``. Shards come in, one report for each goes out.

Each node has one actor with the cores of that node (``ray_member``), which is given shards as it has room for
them and says what became of them. A node that is lost gives its shards back; one that joins gets some. No
shard, and no run, depends on one node.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import queue
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from img2dataset.counted import counted
from img2dataset.distributing.cluster_engine import ClusterEngine
from img2dataset.distributing.engine import EngineSettings, Progress
from img2dataset.distributing.list_reader import ListEnded, ListReader
from img2dataset.distributing.member import MemberTask, member_task
from img2dataset.distributing.ray_member import News
from img2dataset.distributing.ray_node import Node
from img2dataset.distributing.ray_session import Cluster, check_ray
from img2dataset.distributing.reaching import asking, read_answer, refuse, unable_to_answer
from img2dataset.errors import RunFailed, one_line
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, ShardReport, Status, report_of_json
from img2dataset.working import WorkSettings

logger = logging.getLogger("img2dataset")

LOOK_S = 0.5
NODES_INTERVAL_S = 5.0
LIST_AHEAD = 16
# Nodes that are there at the start are all asked before any gets a shard, unless they take longer than this.
ASKING_S = 60.0
# Without any node for so long, the run ends; machines that were taken away may be replaced.
NODELESS_S = 300.0
# Actors of a node that end without having made anything: something is wrong with it.
MAX_IDLE_DEATHS = 3
STOPPING_S = 40.0

Message: TypeAlias = PlannedShard | ListEnded


class RayEngine(ClusterEngine):
    """Has the nodes of a Ray cluster make shards; see ``Engine``.

    Args:
        settings: of the run.
        on_progress, stop: see ``create_engine``.

    Raises:
        MissingDependency: ray is not installed.
    """

    def __init__(self, settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> None:
        check_ray()
        super().__init__(settings, on_progress, stop)

    def run(self, shards: Iterable[PlannedShard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make all shards; see ``Engine``."""
        with contextlib.closing(Cluster(self.config)) as cluster:
            yield from RayPass(self, cluster, settings).run(shards)


class RayPass:
    """One pass of a ``RayEngine``: its nodes, and the shards that wait for one."""

    def __init__(self, engine: RayEngine, cluster: Cluster, settings: WorkSettings) -> None:
        self._engine = engine
        self._cluster = cluster
        self._settings = settings
        self._task: MemberTask = member_task(engine.settings, settings)
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._waiting: deque[PlannedShard] = deque()
        self._given_back: deque[PlannedShard] = deque()
        self._nodes: dict[str, Node] = {}
        self._idle_deaths: Counter[str] = Counter()
        self._losses: Counter[int] = Counter()
        self._rows_of_lost: Counter[Status] = Counter()
        self._input_ended = False
        self._input_error: BaseException | None = None
        self._looked_at = float("-inf")
        self._last_node_at = self._began = time.monotonic()
        self._has_begun = False
        # How many share hosts' bounds; more than there are, where some were lost.
        self._members = 0
        self._question: str | None = None
        self._exit = contextlib.ExitStack()

    def run(self, shards: Iterable[PlannedShard]) -> Iterator[ShardReport]:
        """Make all shards; once."""
        engine, stop = self._engine, self._engine.stop
        looked_at = engine.looked_at(shards, self._settings)
        self._list = ListReader(looked_at, self._messages.put, LIST_AHEAD)
        stop.listen(lambda: None)  # it is looked at in every turn, which no signal breaks into
        with self._exit:
            try:
                while not self._finished() and not stop.made:
                    yield from self._turn()
                if stop.made:
                    yield from self._stop()
                elif self._input_error is not None:
                    raise self._input_error
            finally:
                stop.listen(None)
                for node in self._nodes.values():
                    node.close(is_over=not node.shards)

    def _finished(self) -> bool:
        is_out = any(node.shards for node in self._nodes.values())
        return self._input_ended and not (self._waiting or self._given_back or is_out)

    def _turn(self) -> Iterator[ShardReport]:
        self._list.check()
        self._take_shards()
        self._look_for_nodes()
        for node in Node.with_news(self._nodes.values(), LOOK_S):
            yield from self._hear(node)
        self._hand_out()

    def _take_shards(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                # Without nodes, as at the beginning, there is nothing else to wait for.
                message = self._messages.get(timeout=None if self._nodes else LOOK_S, block=not self._nodes)
                if isinstance(message, ListEnded):
                    self._input_ended, self._input_error = True, message.error
                else:
                    self._waiting.append(message)
                    if self._question is None:
                        self._question = self._exit.enter_context(asking(self._task, message))
                        self._began = self._last_node_at = time.monotonic()
                if not self._nodes:
                    return

    def _look_for_nodes(self) -> None:
        """Use the nodes that are there now; end the run where there is none any more."""
        now = time.monotonic()
        if self._question is None or now - self._looked_at < NODES_INTERVAL_S:
            return
        self._looked_at = now
        for node_id, (address, cores) in self._cluster.nodes().items():
            if node_id not in self._nodes and self._idle_deaths[node_id] <= MAX_IDLE_DEATHS:
                most = self._engine.settings.options.processes_count
                processes = cores if most is None else min(cores, most)
                self._nodes[node_id] = Node(node_id, address, processes, self._question)
        for node in self._nodes.values():
            node.ask_for_less_if_it_waits()
        if any(node.is_at_work for node in self._nodes.values()):
            self._last_node_at = now
        elif now - self._last_node_at > NODELESS_S:
            raise RunFailed(
                f"no node of the Ray cluster has been free for {NODELESS_S:.0f} s; see `ray status`, and the"
                " same command goes on"
            )

    def _hear(self, node: Node) -> Iterator[ShardReport]:
        """Take what a node says: that it can do the run, or its news; or that it is lost."""
        try:
            said = node.take()
        except Exception as error:  # Ray has many; whatever it is, this actor does no more
            yield from self._lose(node, error)
            return
        if isinstance(said, str):
            self._take_answer(node, said)
        elif isinstance(said, News):
            yield from self._take_news(node, said)

    def _take_answer(self, node: Node, text: str) -> None:
        answer = read_answer(text)
        if answer.problem is None:
            node.is_able = True
        elif not self._has_begun:
            refuse([answer])
        else:
            logger.warning(
                "node %s joined and is not used: machine %s cannot do this run: %s",
                node.address,
                answer.host,
                answer.problem,
            )
            self._idle_deaths[node.node_id] = MAX_IDLE_DEATHS + 1
            self._nodes.pop(node.node_id).close(is_over=False)

    def _take_news(self, node: Node, news: News) -> Iterator[ShardReport]:
        self._engine.deaths += news.deaths
        for text in news.notices:
            self._engine.tell(text)
        for text in news.reports:
            report = report_of_json(text)
            self._idle_deaths.pop(node.node_id, None)
            # One that was given to another node when this one seemed lost may be told twice.
            if node.shards.pop(report.shard_id, None) is not None:
                if report.stats is not None:
                    node.rows_reported += report.stats.rows
                yield report
        if news.rows is not None:
            node.rows = news.rows
        self._tell_progress()
        if news.error is not None:
            yield from self._lose(node, RuntimeError(news.error))

    def _tell_progress(self) -> None:
        self._engine.on_progress(
            sum((node.rows_done for node in self._nodes.values()), Counter(self._rows_of_lost))
        )

    def _lose(self, node: Node, error: Exception) -> Iterator[ShardReport]:
        """Take a lost node's shards back, or give up those that have lost too many."""
        if not self._has_begun and (unable := unable_to_answer(error)) is not None:
            raise unable from error
        del self._nodes[node.node_id]
        node.close(is_over=False)
        reason = f"node {node.address} of the Ray cluster was lost: {one_line(error)[:200]}"
        self._idle_deaths[node.node_id] += 1
        self._rows_of_lost += node.rows_reported
        if node.is_at_work:
            self._engine.deaths.append(reason)
        logger.warning("%s; %s to be tried again", reason, counted(len(node.shards), "open shard"))
        for shard_id, shard in node.shards.items():
            self._losses[shard_id] += 1
            if self._losses[shard_id] > self._engine.settings.max_kills:
                yield ShardReport(shard_id, error=f"each node that made it was lost: {reason}")
            else:
                self._given_back.append(shard)

    def _hand_out(self) -> None:
        """Give shards to the nodes that want some, and ask each for its news."""
        if not self._has_begun:
            asked = [node for node in self._nodes.values() if not node.is_able]
            self._has_begun = bool(self._nodes) and (
                not asked or (len(asked) < len(self._nodes) and time.monotonic() - self._began > ASKING_S)
            )
            if not self._has_begun:
                return
        self._number_nodes()
        for node in sorted(self._nodes.values(), key=lambda node: len(node.shards)):
            if not node.can_be_asked:
                continue
            given: list[PlannedShard] = []
            is_counted = node.members == self._members
            while is_counted and node.wants > len(given) and (self._given_back or self._waiting):
                if self._given_back:
                    given.append(self._given_back.popleft())
                else:
                    given.append(self._waiting.popleft())
                    self._list.shard_taken()
            is_end = self._input_ended and not (self._waiting or self._given_back)
            node.exchange(given, is_end or not is_counted)

    def _number_nodes(self) -> None:
        """Give nodes that can work a number, so that together they keep to hosts' bounds.

        One that joins has the number of one that was lost. Where there is none, all end what they have open,
        and begin again as members of twice as many: so that happens a few times, however many join.
        """
        able = [node for node in self._nodes.values() if node.is_able]
        if len(able) > self._members:
            self._members = max(len(able), 2 * self._members)
        at_work = [node for node in able if node.is_at_work]
        if any(node.members != self._members and (node.shards or not node.is_idle) for node in at_work):
            return
        taken = {node.number for node in able if node.members == self._members}
        free = (number for number in range(self._members) if number not in taken)
        for node in able:
            if node.members != self._members and (not node.is_at_work or node.can_be_asked):
                node.begin(pickle.dumps(self._task), self._members, next(free))

    def _stop(self) -> Iterator[ShardReport]:
        """Let the nodes complete what they have open, or put it aside."""
        for node in self._nodes.values():
            node.stop()
        until = time.monotonic() + STOPPING_S
        while time.monotonic() < until:
            busy = [node for node in self._nodes.values() if node.is_at_work and not node.is_idle]
            if not busy:
                return
            for node in Node.with_news(busy, LOOK_S):
                try:
                    said = node.take()
                except Exception as error:
                    logger.warning("node %s was lost while stopping: %s", node.address, one_line(error))
                    node.is_idle = True
                    continue
                if isinstance(said, News):
                    yield from self._take_news(node, said)
                if not node.is_idle:
                    node.exchange([], is_end=True)
