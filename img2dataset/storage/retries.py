"""Operations on a store, tried again when it fails for a while. Called wherever a room talks to one."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from img2dataset.errors import Img2datasetError

TRIES = 5
_FIRST_WAIT_S = 0.5

# What a store has decided: another try gets the same answer.
_REFUSALS = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
# What a mistake in a program raises, this one or a library; or a machine without memory. None passes.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    NotImplementedError,
    RecursionError,
    ReferenceError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
)
# Parts of Python that speak to servers, or wait for them, and have error classes that are no OSError.
_SPEAK_TO_SERVERS = {"asyncio", "concurrent", "ftplib", "http"}

Result = TypeVar("Result")


def with_retries(operation: Callable[[], Result], tries: int = TRIES) -> Result:
    """What the operation returns, tried again after a failure that may pass (``may_pass``).

    Waits 0.5 s, 1 s, 2 s … and up to as much again at random, so that many workers do not return at
    once. Object stores answer 500, 503 and dropped connections in every long run.

    Raises:
        Exception: whatever the operation raised the last time.
    """
    wait_s = _FIRST_WAIT_S
    while True:
        tries -= 1
        try:
            return operation()
        except Exception as error:
            if tries <= 0 or not may_pass(error):
                raise
        time.sleep(wait_s * random.uniform(1, 2))
        wait_s *= 2


def is_mistake(error: BaseException) -> bool:
    """Whether only a program can be to blame: not its user, a disk, a store or a machine without memory."""
    return isinstance(error, _MISTAKES) and not isinstance(error, (Img2datasetError, MemoryError))


def may_pass(error: BaseException) -> bool:
    """Whether a store may do what it has just failed to do.

    The libraries of stores raise classes of their own for 500, 503 and dropped connections (botocore's
    ``ClientError``, aiohttp's ``ClientError``, Azure's ``HttpResponseError``), and which of them are
    installed is not known here. So an error of a library's own class may pass, as any ``OSError`` may that is
    no refusal; one of Python's own classes is a mistake in a program.
    """
    if isinstance(error, (Img2datasetError, *_REFUSALS, *_MISTAKES)):
        return False
    if isinstance(error, OSError | EOFError):  # paramiko: the server has closed the connection
        return True
    if type(error) is RuntimeError:  # adlfs wraps in one whatever an upload has raised
        return error.__cause__ is None or may_pass(error.__cause__)
    package = type(error).__module__.partition(".")[0]
    return package in _SPEAK_TO_SERVERS or package not in sys.stdlib_module_names
