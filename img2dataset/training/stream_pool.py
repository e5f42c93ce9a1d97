"""``stream`` in several processes: each runs its own engine over rows that it claims, and sends samples back.

The processes are plain subprocesses that talk over pipes, as the workers of a download are: no ``__main__``
is run again, and a process notices that its parent is gone. ``main`` is what they run.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.options import Options
from img2dataset.training.stream_engine import ImageKind, SampleEngine, StreamedSample
from img2dataset.training.stream_rows import open_list_of, rows_as_claimed

PATIENCE_S = 5.0


class StreamPool:
    """Worker processes of one stream.

    Raises:
        OptionError: the list is an iterator, which cannot be read in several processes.
    """

    def __init__(self, options: Options, image: ImageKind, look_ahead: int, processes_count: int):
        try:
            job = pickle.dumps((options, image, look_ahead))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise OptionError(
                f"url_list is a {type(options.url_list).__name__}, which cannot be read in several processes;"
                " give a path or a list, or processes_count=1"
            ) from error
        self._processes: dict[Connection, subprocess.Popen[bytes]] = {}
        try:
            with tempfile.TemporaryFile() as claims:
                for _ in range(processes_count):
                    connection, process = _start(claims.fileno())
                    self._processes[connection] = process
                    connection.send_bytes(job)
        except BaseException:
            self.close()
            raise

    def batches(self) -> Iterator[list[StreamedSample]]:
        """The samples of all processes, a few at a time.

        Raises:
            Img2datasetError: a process ended by an error, or was killed.
        """
        running = dict(self._processes)
        while running:
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    status = running[connection].wait(PATIENCE_S)
                    raise Img2datasetError(
                        f"a process of the stream ended unexpectedly, status {status}"
                        " (negative: killed by that signal; -9: often for want of memory)"
                    ) from None
                if message is None:
                    del running[connection]
                elif isinstance(message, BaseException):
                    raise message
                else:
                    yield message

    def close(self) -> None:
        """End the processes, whatever they are doing. Idempotent."""
        for connection in self._processes:
            with contextlib.suppress(OSError):
                connection.close()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            _await_end(process)


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(claims: int) -> tuple[Connection, subprocess.Popen[bytes]]:
    import socket

    mine, theirs = socket.socketpair()
    with mine, theirs:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "img2dataset.training.stream_pool"),
                *(str(theirs.fileno()), str(claims)),
            ],
            pass_fds=[theirs.fileno(), claims],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
        )
        return Connection(os.dup(mine.fileno())), process


def main() -> None:
    """Serve one stream; the arguments are the numbers of the socket to the parent and the file of claims."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when the stream stops
    connection: Any = Connection(int(sys.argv[1]))
    claims = int(sys.argv[2])
    options, image, look_ahead = pickle.loads(connection.recv_bytes())

    def claim() -> int:
        # All processes have one position in this empty file, and lseek is atomic (POSIX, 2.9.7).
        return os.lseek(claims, 1, os.SEEK_CUR) - 1

    try:
        rows = rows_as_claimed(open_list_of(options), options, claim)
        engine = SampleEngine(rows, options, image, look_ahead)
        for batch in engine.batches():
            connection.send(batch)
        connection.send(None)
    except OSError:
        os._exit(75)  # nobody is left to send to
    except Img2datasetError as error:
        connection.send(error)
    except Exception as error:
        connection.send(Img2datasetError(f"a process of the stream failed: {type(error).__name__}: {error}"))
    # Threads of libraries that still run must not hold the process.
    os._exit(0)


if __name__ == "__main__":
    main()
