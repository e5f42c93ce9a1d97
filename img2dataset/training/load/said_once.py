"""What is said once, by whichever process finds it first: of a loader or stream and its copies in workers.

Used by ``downloading`` and by ``streaming``. Workers of a ``DataLoader`` are forked or spawned for each
epoch, and share nothing that outlives them but files: who says a text makes an empty one that stands for it,
in the folder for temporary files.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import tempfile
import weakref

logger = logging.getLogger("img2dataset")


class SaidOnce:
    """Warns of each text once a machine; picklable, and its copies are one with it.

    The files go with the object that was made first.
    """

    def __init__(self) -> None:
        self._token = secrets.token_hex(8)
        self._said: set[str] = set()
        weakref.finalize(self, _forget, self._token, os.getpid())

    def __call__(self, text: str) -> None:
        """Warn, unless a copy has."""
        if text not in self._said:
            self._said.add(text)
            if _is_first(self._token, text):
                logger.warning("%s", text)

    def __getstate__(self) -> dict[str, str]:
        return {"token": self._token}

    def __setstate__(self, state: dict[str, str]) -> None:
        self._token, self._said = state["token"], set()


def _folder(token: str) -> str:
    return os.path.join(tempfile.gettempdir(), f"img2dataset-said-{token}")


def _is_first(token: str, text: str) -> bool:
    path = os.path.join(_folder(token), hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
    try:
        os.makedirs(_folder(token), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    except OSError:  # a folder that cannot be written: each process says it
        return True
    return True


def _forget(token: str, process_id: int) -> None:
    if os.getpid() == process_id:
        shutil.rmtree(_folder(token), ignore_errors=True)
