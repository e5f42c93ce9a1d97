"""What a verification says: of each shard, and of the folder.

``ShardCheck`` comes back from the processes that check, ``VerificationReport`` goes to the caller.
"""

from __future__ import annotations

import html
import shlex
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field

from img2dataset.counted import counted
from img2dataset.printable import printable


@dataclass(frozen=True, slots=True)
class ShardCheck:
    """The outcome of one shard's check.

    ``key_digits`` are the digits that a row's place takes in the keys, None where no key could be read.
    ``unreadable`` says why the shard could not be checked to its end, whatever ``reasons`` were found.
    """

    shard_id: int
    name: str
    rows: int = 0
    successes: int = 0
    images: int = 0
    key_digits: int | None = None
    reasons: tuple[str, ...] = ()
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class BadShard:
    """A shard that is broken, or could not be checked, and why. ``name`` is its number as in file names."""

    shard_id: int
    name: str
    reasons: tuple[str, ...]

    def line(self) -> str:
        return f"{self.name}: {'; '.join(self.reasons)}"


@dataclass
class VerificationReport:
    """What ``verify`` found.

    Attributes:
        output_folder: as it was given.
        shards_checked: finished shards that were read, good or bad.
        rows, successes, images: summed over them; ``images`` were decoded or hashed.
        bad: broken shards.
        unreadable: shards that a failing disk or store kept from being checked; never removed.
        unfinished: names of shards with files but without statistics: not done, and not held against them.
        replaced: names of shards whose replacement was cut short, which the next run brings to its end.
        missing: first and last number of each gap in the numbering.
        folder_faults: what is wrong with the folder as a whole.
        notes: what is worth knowing and no fault.
        removed: names of bad shards that were removed.
        kept: numbers of shards that a stop has cut short and of which a part is kept for the next run.
        commands: what makes the shards again that are not whole, as far as the folder's record says it.
        digits: digits of shard numbers, for showing them.
    """

    output_folder: str
    shards_checked: int = 0
    rows: int = 0
    successes: int = 0
    images: int = 0
    bad: list[BadShard] = field(default_factory=list)
    unreadable: list[BadShard] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)
    folder_faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    digits: int = 5

    @property
    def exit_status(self) -> int:
        """0 if the dataset is whole, else 1, also when the bad shards have been removed: it is not whole."""
        faults = (self.bad, self.unreadable, self.folder_faults, *self._not_done)
        return 1 if any(faults) else 0

    @property
    def _not_done(self) -> tuple[Sized, ...]:
        return self.unfinished, self.replaced, self.missing, self.kept

    @property
    def not_whole(self) -> Iterator[int]:
        """The numbers of the shards that have to be made, or made again."""
        yield from (shard.shard_id for shard in self.bad)
        for first, last in self.missing:
            yield from range(first, last + 1)
        yield from (int(name) for name in (*self.unfinished, *self.replaced))
        yield from self.kept

    def add(self, check: ShardCheck) -> None:
        """Count one shard."""
        self.shards_checked += 1
        self.rows += check.rows
        self.successes += check.successes
        self.images += check.images
        if check.unreadable is not None:
            reasons = (check.unreadable, *check.reasons)
            self.unreadable.append(BadShard(check.shard_id, check.name, reasons))
        elif check.reasons:
            self.bad.append(BadShard(check.shard_id, check.name, check.reasons))

    def lines(self) -> list[str]:
        """The report for people: faults first, the sum last."""
        return list(self._lines())

    def __str__(self) -> str:
        return printable("\n".join(self.lines()))

    def _repr_html_(self) -> str:
        """What a notebook shows where a verification is the last value of a cell."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def _lines(self) -> Iterator[str]:
        yield from self.folder_faults
        for shard in self.bad:
            yield f"bad: {shard.line()}"
        for shard in self.unreadable:
            yield f"could not be checked: {shard.line()}"
        for first, last in self.missing:
            yield f"missing: {self._range(first, last)}"
        for name in self.unfinished:
            yield f"not done: {name} has files and no statistics"
        for name in self.replaced:
            yield f"not done: {name} is being replaced by files that are not all in their place"
        for shard_id in self.kept:
            yield f"not done: {shard_id:0{self.digits}d} was cut short by a stop; what was downloaded is kept"
        yield from self.notes
        yield self._sum()
        if self.exit_status:
            yield from self._way_out()

    def _range(self, first: int, last: int) -> str:
        names = [f"{shard_id:0{self.digits}d}" for shard_id in (first, last)]
        count = counted(last - first + 1, "shard")
        return names[0] if first == last else f"{names[0]} to {names[1]} ({count})"

    def _sum(self) -> str:
        missing = sum(last - first + 1 for first, last in self.missing)
        counts = (
            (self.shards_checked - len(self.bad) - len(self.unreadable), "good"),
            (len(self.bad), "bad"),
            (len(self.unreadable), "could not be checked"),
            (len(self.unfinished) + len(self.replaced) + len(self.kept), "not done"),
            (missing, "missing"),
        )
        shards = ", ".join(f"{count:,} {what}" for count, what in counts if count or what == "good")
        looked_at = f", {counted(self.images, 'image')} looked at" if self.images else ""
        rows = f"{counted(self.rows, 'row')}, {counted(self.successes, 'success', 'successes')}"
        return f"{self.output_folder}: shards: {shards}; {rows}{looked_at}"

    def _way_out(self) -> Iterator[str]:
        if self.removed:
            kept = len(self.bad) - len(self.removed)
            not_removed = f"; {kept:,} could not be removed" if kept else ""
            yield f"removed: {listed(self.removed, shown=10)}{not_removed}"
        if not self.bad and not any(self._not_done):
            yield "nothing can be removed or made again to mend this"
            return
        commands = self.commands or ["the command that made the dataset"]
        if self.bad and not self.removed:
            commands = [f"img2dataset verify {shlex.quote(self.output_folder)} --remove", *commands]
        yield "to mend it:"
        yield from (f"  {command}" for command in commands)


def listed(names: Iterable[str], shown: int = 5) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more:,} more" if more > 0 else "")
