"""Which rows of a dataset could not be loaded, and why: noted by its workers, read where the training runs.

A ``DataLoader`` with workers gives each of them a copy of the dataset, and nothing of theirs comes back but
batches. So they append to one file, which is made at the first failure and goes with the dataset.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import uuid
import weakref

# A line is put there in one write, so that lines of several workers do not mix.
LONGEST_REASON = 2000


class FailureLog:
    """Rows and reasons, the first of each row, of all processes that have a copy of this one."""

    def __init__(self) -> None:
        name = f"img2dataset-failures-{os.getpid()}-{uuid.uuid4().hex}.jsonl"
        self._path = os.path.join(tempfile.gettempdir(), name)
        self._known: dict[int, str] = {}
        self._read_up_to = 0
        # Of the process that made it alone: a worker that ends, or has a copy, leaves the file to the others.
        weakref.finalize(self, _remove, self._path, os.getpid())

    def note(self, index: int, reason: str) -> bool:
        """Note that a row cannot be loaded; whether nobody has before."""
        self._read_on()
        if index in self._known:
            return False
        self._known[index] = reason
        line = json.dumps([index, reason[:LONGEST_REASON]]) + "\n"
        # Without room for it, those of this process are known still.
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        return True

    def all(self) -> dict[int, str]:
        """Every row that was noted so far, by any of the processes, with its reason."""
        self._read_on()
        return dict(self._known)

    def _read_on(self) -> None:
        with contextlib.suppress(OSError), open(self._path, "rb") as file:
            file.seek(self._read_up_to)
            text = file.read()
            # What another process writes at this moment is read the next time.
            whole = text[: text.rfind(b"\n") + 1]
            for line in whole.splitlines():
                with contextlib.suppress(ValueError):
                    index, reason = json.loads(line)
                    self._known.setdefault(index, reason)
            self._read_up_to += len(whole)


def _remove(path: str, process_id: int) -> None:
    if os.getpid() == process_id:
        with contextlib.suppress(OSError):
            os.unlink(path)
