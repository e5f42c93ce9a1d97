"""``stream`` in several processes: each runs its own engine over rows that it claims, and sends samples back.

Called by ``stream``; ``process`` is what they run.
"""

from __future__ import annotations

import pickle
import queue
import tempfile
import threading
from collections.abc import Iterator

from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.options import Options
from img2dataset.processes import Child, Ended, Heard, Program, bury, next_heard
from img2dataset.training.load.said_once import SaidOnce
from img2dataset.training.streaming.engine import ImageKind, StreamedSample
from img2dataset.training.streaming.process import FromStream, ListEnded, Notice, StreamFailed, StreamJob

PROGRAM_MODULE = "img2dataset.training.streaming.process"
PATIENCE_S = 5.0


class StreamPool:
    """Worker processes of one stream.

    Raises:
        OptionError: the list is an iterator, which cannot be read in several processes.
    """

    def __init__(self, options: Options, image: ImageKind, look_ahead: int, processes_count: int):
        try:
            pickled = pickle.dumps(options)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise OptionError(
                f"url_list is a {type(options.url_list).__name__}, which cannot be read in several processes;"
                " give a path or a list, or processes_count=1"
            ) from error
        self._heard: queue.SimpleQueue[Heard[FromStream] | Ended] = queue.SimpleQueue()
        # Messages of samples that may wait here for the consumer; the rest waits in the processes.
        self._room = threading.Semaphore(processes_count)
        self._closing = False
        self._said_once = SaidOnce()
        self._children: dict[int, Child[StreamJob, FromStream]] = {}
        try:
            with tempfile.TemporaryFile() as claims:
                program = Program(PROGRAM_MODULE, "stream", (claims.fileno(),))
                for number in range(processes_count):
                    child: Child[StreamJob, FromStream] = Child(number, program, self._hear)
                    self._children[number] = child
                    child.send(StreamJob(pickled, image, look_ahead, claims.fileno()))
        except BaseException:
            self.close()
            raise

    def _hear(self, heard: Heard[FromStream] | Ended) -> None:
        if isinstance(heard, Heard) and not self._closing:
            self._room.acquire()
        self._heard.put(heard)

    def batches(self) -> Iterator[list[StreamedSample]]:
        """The samples of all processes, a few at a time.

        Raises:
            Img2datasetError: a process ended by an error, or was killed.
        """
        running = set(self._children)
        while running:
            heard = next_heard(self._heard, [self._children[number] for number in running])
            if isinstance(heard, Ended):
                if heard.child in running:
                    raise Img2datasetError(
                        f"a process of the stream ended unexpectedly, status {heard.exit_status}"
                        " (negative: killed by that signal; -9: often for want of memory)"
                    )
                continue
            self._room.release()
            if isinstance(heard.message, ListEnded):
                running.discard(heard.child)
            elif isinstance(heard.message, StreamFailed):
                raise heard.message.error
            elif isinstance(heard.message, Notice):
                self._said_once(heard.message.text)
            else:
                yield heard.message.samples

    def close(self) -> None:
        """End the processes, whatever they are doing. Idempotent."""
        self._closing = True
        for child in self._children.values():
            child.kill()
        # Their threads may wait for room: each for one message at most, since no further one is to wait.
        self._room.release(max(1, len(self._children)))
        bury(self._children.values(), PATIENCE_S)
