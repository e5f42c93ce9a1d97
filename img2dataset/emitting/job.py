"""The run that a job file is for: its options as words, without anything secret. Made by ``command``."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.options import Options, option_specs

# Cores of a rank where --processes_count does not say it.
CORES = 8
# A worker with the bodies that it holds (--body_memory), large images and its part of the program, with room.
MEMORY_MB_A_CORE = 1000
# What a scheduler is to wait for longer than the program takes to stop.
MORE_THAN_GRACE_S = 15
# Said by the job file itself.
_OF_THE_JOB = ("world_size", "processes_count")


@dataclass(frozen=True)
class Job:
    """What a job file is made from.

    ``given``: the options that were given, by name. ``image``: of the containers.
    """

    options: Options
    given: Mapping[str, Any]
    image: str

    @property
    def cores(self) -> int:
        """Of one machine, or one rank: as many worker processes."""
        return self.options.processes_count or CORES

    @property
    def memory_mb(self) -> int:
        """Of one machine, or one rank."""
        return self.cores * MEMORY_MB_A_CORE

    @property
    def stopping_s(self) -> int:
        """What a scheduler is to wait from SIGTERM on before it kills."""
        return math.ceil(self.options.grace_s) + MORE_THAN_GRACE_S

    def ranks(self, scheduler: str) -> int:
        """How many ranks there are to be.

        Raises:
            OptionError: that was not given.
        """
        if self.options.world_size is None:
            raise OptionError(f"emit {scheduler} needs --world_size: how many ranks the job is to have")
        return self.options.world_size

    @property
    def secrets(self) -> dict[str, str]:
        """The environment variables to be filled in, by option."""
        return {name: f"IMG2DATASET_{name.upper()}" for name in self.given if self._is_secret(name)}

    def words(self, distributor: str) -> list[str]:
        """The command as words for a shell, one option each; secrets are read from variables."""
        secrets = self.secrets
        found = ["img2dataset"]
        for name in (name for name in self.given if name not in _OF_THE_JOB):
            if name in secrets:
                found.append(f'--{name}="${secrets[name]}"')
            else:
                found.append(f"--{name}={shlex.quote(_text(getattr(self.options, name)))}")
        return [*found, f"--distributor={distributor}"]

    def command(self, distributor: str, *more: str) -> str:
        """The same on lines that a shell reads as one."""
        return " \\\n    ".join([*self.words(distributor), *more])

    def _is_secret(self, name: str) -> bool:
        value = getattr(self.options, name)
        # An address may carry a password or a signature.
        is_address = isinstance(value, str) and "://" in value
        in_address = is_address and ("@" in value.partition("://")[2].partition("/")[0] or "?" in value)
        return value is not None and (option_specs()[name].secret or (in_address and "*" not in value))


def _text(value: Any) -> str:
    """As the command line reads it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, tuple) else str(value)
