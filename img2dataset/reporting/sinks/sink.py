"""What a sink is: it is told what a run does, and passes that on to a service or a file of another program.

A new one is one file with a class ``Reporter(Sink)``: here, under a name that ``SinkName`` of
``options/table.py`` lists; or in a package of its own, named by an entry point of the group
``img2dataset.sinks``. It is told everything in a process of its own: what it raises ends it and not the run,
and what it takes too long for is dropped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec

from img2dataset.errors import MissingDependency
from img2dataset.installation import install_extra
from img2dataset.reporting.events import EndEvent, RunEvent, TickEvent
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.live.following import FollowedLog
from img2dataset.types import SUCCESS


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What sinks are told of the options.

    ``output_folder``: as it was given; ``shown_output``: without what is secret in it. ``project``: as
    ``--wandb_project`` says.
    """

    output_folder: str
    shown_output: str
    project: str


class Sink(ABC):
    """Takes the events of one run. Made without arguments."""

    def check(self, settings: SinkSettings) -> None:
        """Check that what it needs is there; called before the run, in the program itself.

        Raises:
            MissingDependency: a package that it needs is not installed.
            OptionError: it cannot report as it is set up; the message says what to do.
        """
        return

    @abstractmethod
    def begin(self, run: RunEvent, settings: SinkSettings) -> str | None:
        """The run has begun.

        Returns:
            A line for people that says where it can be seen, if there is such a place.
        """

    @abstractmethod
    def tick(self, tick: TickEvent, so_far: FollowedLog) -> None:
        """How far the run is; ``so_far`` has this tick in it."""

    @abstractmethod
    def end(self, end: EndEvent, so_far: FollowedLog) -> None:
        """The run is over; nothing is told after this."""


def need(package: str, option: str, extra: str) -> None:
    """Look for a package, without loading it.

    Args:
        package: by its module's name.
        option: that asks for it.
        extra: of this program, that it is in.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        found = find_spec(package)
    except ImportError:
        found = None
    if found is None:
        raise MissingDependency(f"{option}: the package {package} is not installed: {install_extra(extra)}")


def metrics(tick: TickEvent, so_far: FollowedLog) -> dict[str, float]:
    """The numbers of 1.47.0 by the names that it reported them under.

    ``total/…`` of the run so far; ``worker/…`` of the shards that have ended since the last tick, if any.
    ``success``, ``failed_to_download`` and ``failed_to_resize`` are shares of ``count``.
    """
    rows = so_far.rows
    shares = [rows.get(name, 0) for name in (SUCCESS, "failed_to_download", "failed_to_resize")]
    found = _named("total", sum(rows.values()), tick.time - so_far.run.time, shares)
    facts = tick.facts
    if facts is not None and facts.count:
        counts = [facts.successes, facts.failed_to_download, facts.failed_to_resize]
        found |= _named("worker", facts.count, facts.worker_s, counts)
    return found


def _named(prefix: str, count: int, seconds: float, counts: list[int]) -> dict[str, float]:
    if not count:
        return {}
    names = (SUCCESS, "failed_to_download", "failed_to_resize")
    shares = {f"{prefix}/{name}": part / count for name, part in zip(names, counts, strict=True)}
    speed = {f"{prefix}/img_per_sec": count / seconds} if seconds > 0 else {}
    return {f"{prefix}/count": float(count), **shares, **speed}


def frequent_messages(facts: Facts, most: int = 100) -> list[tuple[str, float, int]]:
    """What became of the rows of finished shards: text, share of them, number; the most frequent first."""
    found = facts.messages.most_common(most)
    # Plain texts: W&B takes no kinds of them.
    return [(str(text), rows / facts.count, rows) for text, rows in found]
