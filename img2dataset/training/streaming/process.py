"""The main function of a process of a stream: it claims rows of the list, and sends samples back.

Started by ``pool``.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from typing import TypeAlias

from img2dataset.errors import Img2datasetError
from img2dataset.options import Options
from img2dataset.processes import Parent, end_process, join_parent
from img2dataset.training.streaming.engine import ImageKind, SampleEngine, StreamedSample
from img2dataset.training.streaming.rows import open_list_of, rows_as_claimed


@dataclass(frozen=True, slots=True)
class StreamJob:
    """To a process: what to stream.

    ``options`` are pickled: a list in memory may be long, and all processes get the same. ``claims`` is the
    descriptor of the file in which they claim rows.
    """

    options: bytes
    image: ImageKind
    look_ahead: int
    claims: int


@dataclass(frozen=True, slots=True)
class Samples:
    """From a process: a few samples."""

    samples: list[StreamedSample]


@dataclass(frozen=True, slots=True)
class Notice:
    """From a process: the user is to know this."""

    text: str


@dataclass(frozen=True, slots=True)
class ListEnded:
    """From a process: there are no more rows, and all of its own are sent."""


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """From a process: it cannot go on."""

    error: Img2datasetError


FromStream: TypeAlias = Samples | Notice | ListEnded | StreamFailed


def main() -> None:
    """Serve one stream. The first message is the ``StreamJob``."""
    program: Parent[StreamJob, FromStream] = join_parent()
    job = program.hear()

    def claim() -> int:
        # All processes have one position in this empty file, and lseek is atomic (POSIX, 2.9.7).
        return os.lseek(job.claims, 1, os.SEEK_CUR) - 1

    try:
        options: Options = pickle.loads(job.options)
        rows = rows_as_claimed(open_list_of(options), options, claim)
        engine = SampleEngine(
            rows, options, job.image, job.look_ahead, lambda text: program.say(Notice(text))
        )
        for batch in engine.batches():
            program.say(Samples(batch))
        program.say(ListEnded())
    except Img2datasetError as error:
        program.say(StreamFailed(error))
    except Exception as error:
        failed = f"a process of the stream failed: {type(error).__name__}: {error}"
        program.say(StreamFailed(Img2datasetError(failed)))
    end_process()
