"""What can go wrong with a whole run. Every message names the thing, the value and the way out.

A row that fails is not an exception at this level: it is a ``Fetched`` or ``Sample`` with a failure
(see ``types.py``), and it is counted.
"""

from img2dataset.printable import printable
from img2dataset.shown_names import without_secrets


class Img2datasetError(Exception):
    """Base of every error a user can meet; ``str(error)`` is one line, safe to print, without secrets."""

    exit_status = 1

    def __str__(self) -> str:
        return without_secrets(printable(super().__str__()))


class OptionError(Img2datasetError, ValueError):
    """An option's name, type, value or combination is wrong."""

    exit_status = 2


class InputError(Img2datasetError):
    """The URL list cannot be read as it was described."""


class OutputError(Img2datasetError):
    """The output folder cannot be written to, or holds something else."""


class MissingDependency(Img2datasetError, ImportError):
    """An optional package is needed for what was asked; the message names the extra to install."""


class RunFailed(Img2datasetError):
    """The run ended, but some shards could not be made; the message says which and why."""


def one_line(error: BaseException) -> str:
    """An error's reason on one line of at most 500 characters; the class where it has no text."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split())[:500] or type(error).__name__
