"""The two programs that are put to the test: this checkout, and img2dataset 1.47.0 from PyPI."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import WORK as BENCHMARKS_WORK
from benchmarks.environments import PEER_REQUIREMENT, make_environment, peer_python
from tests.differential.environments import program_environment
from tests.reliability.running import COMMAND, Run, words


@dataclass(frozen=True)
class Program:
    """``name`` in the tables, the command, and the environment it runs in."""

    name: str
    command: str
    environment: Mapping[str, str]

    def start(self, log: Path, interval_s: float = 0.0, within: Sequence[str] = (), **options: object) -> Run:
        """Start it with these options of the command line; both programs know those used here.

        ``within``: words before the command.
        """
        return Run([*within, self.command, *words(options)], log, interval_s, self.environment)


def this_program() -> Program:
    return Program("this program", COMMAND, dict(os.environ))


def peer_program() -> Program:
    """1.47.0, in the environment that the benchmarks keep; made there if it is not.

    Raises:
        RuntimeError: it cannot be made.
    """
    python = make_environment(BENCHMARKS_WORK / "environments" / "peer", PEER_REQUIREMENT, peer_python())
    return Program("1.47.0", str(python.with_name("img2dataset")), program_environment())
