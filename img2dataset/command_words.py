"""What the commands beside the run itself have in common: their words are read, and their lines printed.

Used by ``status``, ``watch``, ``inspect``, ``report`` and ``verify``.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import NoReturn

from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.printable import printable


class CommandWords(argparse.ArgumentParser):
    """Reads the words of one command; ``--help`` is a word like the others.

    Args:
        command: its name, as it stands behind ``img2dataset``.
    """

    def __init__(self, command: str) -> None:
        super().__init__(prog=f"img2dataset {command}", add_help=False, allow_abbrev=False)
        self.add_argument("--help", "-h", action="store_true")

    def error(self, message: str) -> NoReturn:
        """Refuse wrong words.

        Raises:
            OptionError: always.
        """
        raise OptionError(f"{message}; {self.prog} --help says how it is used")


def say(text: str) -> int:
    """Print lines, and return the exit status of a command that has done its work."""
    with contextlib.suppress(OSError):  # whoever reads may have gone
        print(printable(text), flush=True)
    return 0


def refused(error: Img2datasetError) -> int:
    """Print why a command cannot be done, and return its exit status."""
    print(f"img2dataset: {printable(str(error))}", file=sys.stderr)
    return error.exit_status
