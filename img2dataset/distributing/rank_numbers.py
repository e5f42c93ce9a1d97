"""Which rank a program is, of how many: from the options, or from the variables of a scheduler.

In: the options and the environment. Out: a ``Rank``, or one line that names what is wrong. Used by ``ranks``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from img2dataset.errors import OptionError
from img2dataset.options import RunOptions

Environment = Mapping[str, str]

OWN_RANK, OWN_WORLD_SIZE = "IMG2DATASET_RANK", "IMG2DATASET_WORLD_SIZE"
OFF_SWITCH = "--ranks_from_environment False"
MOST_RANKS = 1_000_000


@dataclass(frozen=True, slots=True)
class Rank:
    """This program's number among ``world_size``, from 0."""

    number: int
    world_size: int

    @property
    def name(self) -> str:
        """What it is called in notes and leases."""
        return f"rank-{self.number:05d}"


@dataclass(frozen=True, slots=True)
class _Said:
    """What one source says; None where it says nothing. ``rank_from`` and ``size_from`` name it."""

    rank: int | None
    world_size: int | None
    rank_from: str
    size_from: str


def find_rank(options: RunOptions, environment: Environment) -> Rank:
    """Which rank this is.

    The own variables come before a scheduler's; what is given as an option must agree with what is found.

    Args:
        options: of the run.
        environment: the variables of this process.

    Raises:
        OptionError: nothing says it; two that count disagree; or the rank is not below the number of ranks.
    """
    given = _Said(options.rank, options.world_size, "--rank", "--world_size")
    found = _Said(None, None, OWN_RANK, OWN_WORLD_SIZE)
    if options.ranks_from_environment:
        found = _from_environment(environment) or found
    _refuse_to_disagree(given, found)
    rank, rank_from = given.rank, given.rank_from
    if rank is None:
        rank, rank_from = found.rank, found.rank_from
    size, size_from = given.world_size, given.size_from
    if size is None:
        size, size_from = found.world_size, found.size_from
    if rank is None or size is None:
        missing = {"--rank": OWN_RANK} if rank is None else {}
        missing |= {"--world_size": OWN_WORLD_SIZE} if size is None else {}
        beside = f", beside {rank_from} {rank}" if rank is not None else ""
        pronoun = "it" if len(missing) == 1 else "them"
        raise OptionError(
            f"--distributor ranks needs {' and '.join(missing)}{beside}: give {pronoun},"
            f" set {' and '.join(missing.values())}, or start it by a scheduler that says so"
            " (docs/distributed.md)"
        )
    if not 0 <= rank < size:
        raise OptionError(
            f"{rank_from} is {rank} and {size_from} is {size}; ranks are counted from 0 to {size - 1}"
        )
    return Rank(rank, size)


def _refuse_to_disagree(given: _Said, found: _Said) -> None:
    for option, value, variable, other in (
        (given.rank_from, given.rank, found.rank_from, found.rank),
        (given.size_from, given.world_size, found.size_from, found.world_size),
    ):
        if value is not None and other is not None and value != other:
            raise OptionError(
                f"{option} is {value} and {variable} says {other}; leave out {option}, or give {OFF_SWITCH}"
                " to leave the environment out of it"
            )


def _from_environment(environment: Environment) -> _Said | None:
    """What the own variables say, else the scheduler's; the own world size completes one that says none."""
    own = _of_two(environment, OWN_RANK, OWN_WORLD_SIZE)
    if own is not None:
        return own
    found = _scheduler(environment)
    size = _number(environment, OWN_WORLD_SIZE)
    if size is None:
        return found
    if found is None:
        return _Said(None, size, OWN_RANK, OWN_WORLD_SIZE)
    if found.world_size not in (None, size):
        raise OptionError(
            f"{OWN_WORLD_SIZE} is {size} and {found.size_from} says {found.world_size}; unset one, or give"
            f" {OFF_SWITCH} with --rank and --world_size"
        )
    return _Said(found.rank, size, found.rank_from, OWN_WORLD_SIZE)


def _scheduler(environment: Environment) -> _Said | None:
    """What the one scheduler says; two may, such as torchrun in a job of Slurm, if they say the same."""
    said = [found for source in SCHEDULERS if (found := source(environment)) is not None]
    for other in said[1:]:
        if (other.rank, other.world_size) != (said[0].rank, said[0].world_size):
            raise OptionError(
                f"{_shown(said[0])} and {_shown(other)}; set {OWN_RANK} and {OWN_WORLD_SIZE} to those that"
                f" count, or give {OFF_SWITCH} with --rank and --world_size"
            )
    return said[0] if said else None


def _shown(said: _Said) -> str:
    size = "" if said.world_size is None else f" of {said.world_size}"
    return f"{said.rank_from} says rank {said.rank}{size}"


def _slurm(environment: Environment) -> _Said | None:
    """The task of an array, the process of an ``srun``, or both: then each task of the array has as many."""
    task = _number(environment, "SLURM_ARRAY_TASK_ID")
    process = _number(environment, "SLURM_PROCID")
    # A batch script is process 0 of 1 or more, and is not started by srun: only a step has its own number.
    if process is not None and environment.get("SLURM_STEP_ID") is None:
        process = None
    processes = _number(environment, "SLURM_STEP_NUM_TASKS") or _number(environment, "SLURM_NTASKS") or 1
    if task is None:
        return None if process is None else _Said(process, processes, "SLURM_PROCID", "SLURM_NTASKS")
    first = _number(environment, "SLURM_ARRAY_TASK_MIN") or 0
    step = _number(environment, "SLURM_ARRAY_TASK_STEP") or 1
    tasks = _number(environment, "SLURM_ARRAY_TASK_COUNT")
    if (task - first) % step:
        raise OptionError(
            f"SLURM_ARRAY_TASK_ID is {task}, which is not SLURM_ARRAY_TASK_MIN {first} and a multiple of"
            f" SLURM_ARRAY_TASK_STEP {step}; give --array=0-N, or --rank and --world_size with {OFF_SWITCH}"
        )
    index = (task - first) // step
    if process is None:
        return _Said(index, tasks, "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
    both = "SLURM_ARRAY_TASK_ID with SLURM_PROCID", "SLURM_ARRAY_TASK_COUNT times SLURM_NTASKS"
    return _Said(index * processes + process, tasks and tasks * processes, *both)


def _kubernetes(environment: Environment) -> _Said | None:
    return _of_two(environment, "JOB_COMPLETION_INDEX", "")


def _aws_batch(environment: Environment) -> _Said | None:
    return _of_two(environment, "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE")


def _torchrun(environment: Environment) -> _Said | None:
    return _of_two(environment, "RANK", "WORLD_SIZE")


SCHEDULERS: tuple[Callable[[Environment], _Said | None], ...] = (_slurm, _kubernetes, _aws_batch, _torchrun)


def _of_two(environment: Environment, rank: str, world_size: str) -> _Said | None:
    number = _number(environment, rank)
    size = _number(environment, world_size) if world_size else None
    return None if number is None else _Said(number, size, rank, world_size or OWN_WORLD_SIZE)


def _number(environment: Environment, name: str) -> int | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or int(text) > MOST_RANKS:
        raise OptionError(
            f"{name} is {text!r}, which is no number of ranks; set it right, or give {OFF_SWITCH} with --rank"
            " and --world_size"
        )
    return int(text)
