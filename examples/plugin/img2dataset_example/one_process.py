"""An engine: ``--distributor one_process`` makes the shards in the program's own process.

For a debugger or a profiler, which then see the pixels and the files being made. Nothing is supervised: what
kills the worker kills the run, and the same command goes on with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from img2dataset.distributing.engine import Capabilities, EngineSettings, Progress
from img2dataset.reading import ShardReader
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, Shard, ShardReport, Status
from img2dataset.working import Worker, WorkSettings
from img2dataset.working.sharing import Stop

# What downloads under way have to end when a stop is asked for.
GRACE_S = 4.0


class OneProcess:
    """See ``img2dataset.distributing.engine.Engine``, which says what an engine keeps."""

    capabilities = Capabilities(
        machines=False, restarts_lost_shards=False, has_shared_folder=True, stops_gracefully=True
    )

    def __init__(self, settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> None:
        self.list_options = settings.list
        self.on_progress = on_progress
        self.stop = stop
        self.member = "driver"
        self.deaths: list[str] = []

    def run(self, shards: Iterable[PlannedShard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make all shards; one pass."""
        done: Counter[Status] = Counter()

        def count(rows: Counter[Status]) -> None:
            done.update(rows)
            self.on_progress(done)

        worker = Worker(settings, count)
        broken: list[BaseException] = []
        # Called in a signal handler; ``instruct`` may be.
        self.stop.listen(lambda: worker.instruct(Stop(GRACE_S)))
        try:
            read = map(ShardReader(self.list_options).read, shards)
            yield from worker.run(until_broken(read, broken))
        finally:
            self.stop.listen(None)
        if broken:
            raise broken[0]


def until_broken(shards: Iterable[Shard], broken: list[BaseException]) -> Iterator[Shard]:
    """Hand shards on until there are none, or the list breaks off: what it gave before is still made."""
    try:
        yield from shards
    except BaseException as error:
        broken.append(error)
