"""The main function of a worker process: shards come in, reports go out.

Started by ``local``. The program's end of the pipe closes when it is gone, which ends this process.
"""

from __future__ import annotations

import logging
import queue
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from img2dataset.distributing.messages import (
    FromWorker,
    NoMoreWork,
    Pulse,
    Reported,
    RowsDone,
    ShardForWorker,
    ToWorker,
    WantsShard,
    WorkerFailed,
)
from img2dataset.log_output import TEXT_FORMAT, set_up_logging
from img2dataset.printable import PrintableFormatter
from img2dataset.processes import Parent, end_process, join_parent
from img2dataset.types import Shard, Status
from img2dataset.working import WorkSettings
from img2dataset.working.sharing import Instruction

PULSE_S = 1.0


class _Shards:
    """The shards that the program hands out, one for each that was asked for."""

    def __init__(self, program: Parent[ToWorker, FromWorker]):
        self._program = program
        self._handed_out: queue.SimpleQueue[Shard | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Shard]:
        while True:
            self._program.say(WantsShard())
            shard = self._handed_out.get()
            if shard is None:
                return
            yield shard

    def receive_all(self, instruct: Callable[[Instruction], None]) -> None:
        """Sort what comes in, for as long as this process lives: shards, and instructions."""
        while True:
            message = self._program.hear()
            if isinstance(message, ShardForWorker):
                self._handed_out.put(message.shard)
            elif isinstance(message, NoMoreWork):
                self._handed_out.put(None)
            elif not isinstance(message, WorkSettings):
                instruct(message)


def main() -> None:
    """Serve one run. The first message is the ``WorkSettings``."""
    program: Parent[ToWorker, FromWorker] = join_parent()
    # Slurm sends them to each process of a step, as a terminal does SIGINT: the program says when to stop.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter(TEXT_FORMAT))
    logging.basicConfig(handlers=[handler])
    settings = program.hear()
    assert isinstance(settings, WorkSettings)
    set_up_logging(settings.log)

    def tell_progress(statuses: Counter[Status]) -> None:
        program.say(RowsDone(statuses, worker.waiting))

    def tell_pulse() -> None:
        while True:
            program.say(Pulse(worker.step_s))
            time.sleep(PULSE_S)

    try:
        from img2dataset.working import Worker

        shards = _Shards(program)
        worker = Worker(settings, tell_progress, program.say)
        program.start_vital_thread("receiver", lambda: shards.receive_all(worker.instruct), WorkerFailed)
        program.start_vital_thread("pulse", tell_pulse, WorkerFailed)
        for report in worker.run(shards):
            program.say(Reported(report))
    except Exception as error:
        program.say(WorkerFailed(f"{type(error).__name__}: {error}"))
    end_process()
