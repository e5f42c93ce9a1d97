"""Operations on a store, tried again when it fails for a while. Called wherever this room talks to one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from img2dataset.errors import OutputError

UPLOAD_TRIES = 5
_FIRST_WAIT_S = 0.5

# Failures that another try will not mend.
_FINAL_ERRORS = (
    OutputError,
    PermissionError,
    FileNotFoundError,
    NotADirectoryError,
    IsADirectoryError,
    NotImplementedError,
    TypeError,
    ValueError,
)


def with_retries(operation: Callable[[], Any], tries: int = UPLOAD_TRIES) -> Any:
    """What the operation returns, tried again after a failure that may pass.

    Waits 0.5 s, 1 s, 2 s … and up to as much again at random, so that many workers do not return at
    once. Object stores answer 500, 503 and dropped connections in every long run, and their libraries
    raise their own classes for that: everything counts as passing but what is known not to.

    Raises:
        Exception: whatever the operation raised the last time.
    """
    wait_s = _FIRST_WAIT_S
    while True:
        tries -= 1
        try:
            return operation()
        except _FINAL_ERRORS:
            raise
        except Exception:
            if tries <= 0:
                raise
        time.sleep(wait_s * random.uniform(1, 2))
        wait_s *= 2
