"""The main function of a checking process: shards come in, their checks go out.

Started by ``many_shards``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from img2dataset.errors import Img2datasetError
from img2dataset.processes import Parent, join_parent
from img2dataset.verifying.checking import CheckSettings, ShardToCheck, check_shard
from img2dataset.verifying.report import ShardCheck


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """No shard can be checked, for want of a package, say."""

    error: Img2datasetError


# The first message to a checking process is its settings.
ToChecker: TypeAlias = CheckSettings | ShardToCheck
FromChecker: TypeAlias = ShardCheck | CheckFailed


def main() -> None:
    """Serve one verification, until it ends this process. The first message is the ``CheckSettings``."""
    program: Parent[ToChecker, FromChecker] = join_parent()
    settings = program.hear()
    assert isinstance(settings, CheckSettings)
    while True:
        shard = program.hear()
        assert isinstance(shard, ShardToCheck)
        try:
            program.say(check_shard(settings, shard))
        except Img2datasetError as error:
            program.say(CheckFailed(error))
