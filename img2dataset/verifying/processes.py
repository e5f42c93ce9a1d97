"""Many shards checked at once, each in one of a few processes.

In: shards. Out: their checks, in the order in which they end. Called by ``verification``.

The processes are plain subprocesses, as the workers of a run are: no ``__main__`` of the caller is run again,
and one that dies, of a lack of memory or of an image that crashes a decoder, is one shard that could not be
checked and not the end of the verification.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from img2dataset.verifying.checking import CheckSettings, ShardToCheck, check_shard
from img2dataset.verifying.report import ShardCheck

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop());"
    " from img2dataset.verifying.checking_process import main; main()"
)


class CheckingProcess:
    """One process, which checks one shard after another."""

    def __init__(self, settings: CheckSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._has_ended = False

    def check(self, shard: ShardToCheck) -> ShardCheck:
        """Have a shard checked.

        Raises:
            Img2datasetError: what the check itself raised.
        """
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump(shard, process.stdin)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            return ShardCheck(shard.found.shard_id, shard.found.name, unreadable=self._why_it_ended())
        if isinstance(answer, Exception):
            raise answer
        check: ShardCheck = answer
        return check

    def end(self) -> None:
        """End the process at once; no other is started."""
        self._has_ended = True
        self._leave()

    def _leave(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                with contextlib.suppress(OSError):
                    stream.close()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._has_ended:
            raise OSError("the verification is being stopped")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2", **os.environ},
        )
        assert self._process.stdin is not None
        pickle.dump(self._settings, self._process.stdin)
        return self._process

    def _why_it_ended(self) -> str:
        """Leave the process that has gone; another is started for the next shard."""
        process = self._process
        status = process.wait() if process is not None else None
        self._leave()
        return (
            f"the process that checked it ended with status {status};"
            " a lower processes_count needs less memory"
        )


def check_shards(
    settings: CheckSettings, shards: Iterable[ShardToCheck], processes_count: int
) -> Iterator[ShardCheck]:
    """Check every shard, ``processes_count`` at once; with 1, in this process.

    Raises:
        MissingDependency: a package that a format needs is not installed.
    """
    if processes_count == 1:
        for shard in shards:
            yield check_shard(settings, shard)
        return
    processes = [CheckingProcess(settings) for _ in range(processes_count)]
    idle: queue.SimpleQueue[CheckingProcess] = queue.SimpleQueue()
    for process in processes:
        idle.put(process)

    def check(shard: ShardToCheck) -> ShardCheck:
        process = idle.get()
        try:
            return process.check(shard)
        finally:
            idle.put(process)

    threads = ThreadPoolExecutor(processes_count)
    try:
        yield from _run(threads, check, shards, processes_count)
    finally:
        # Threads that wait for an answer get the end of its pipe.
        for process in processes:
            process.end()
        threads.shutdown(cancel_futures=True)


def _run(
    threads: ThreadPoolExecutor,
    check: Callable[[ShardToCheck], ShardCheck],
    shards: Iterable[ShardToCheck],
    at_once: int,
) -> Iterator[ShardCheck]:
    under_way: set[Future[ShardCheck]] = set()
    for shard in shards:
        if len(under_way) == at_once:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
        under_way.add(threads.submit(check, shard))
    while under_way:
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)
