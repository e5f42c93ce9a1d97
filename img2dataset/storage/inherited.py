"""Files without a name that the workers of a run inherit open: nothing is left of them, whatever ends whom.

In: a word for the name, or the variable that tells a worker the number. Out: an open file, or its descriptor.
Called by ``fetching`` for what its processes share, and by ``distributing``, which starts them.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from typing import BinaryIO, cast


def make_nameless_file(word: str, shared: str, otherwise: str) -> BinaryIO | None:
    """A file for one run, in the folder for temporary files, open to read and write.

    Where there is no room for it: None, and a warning.

    Args:
        word: part of its name, where it has one for a moment.
        shared: what the processes of the run share in it.
        otherwise: what comes of not sharing that.
    """
    try:
        return cast(BinaryIO, tempfile.TemporaryFile(prefix=f"img2dataset-{word}-", buffering=0))
    except OSError as error:
        logging.getLogger(__name__).warning(
            "the processes of this run cannot share %s (%s in %s): %s",
            shared,
            error.strerror,
            tempfile.gettempdir(),
            otherwise,
        )
        return None


def inherited_descriptor(variable: str) -> int | None:
    """The descriptor that this environment variable tells a worker; None if it is none's."""
    with suppress(KeyError, ValueError, OSError):
        descriptor = int(os.environ[variable])
        os.fstat(descriptor)
        return descriptor
    return None
