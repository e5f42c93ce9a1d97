"""A whole output folder: what order things are looked at in, and nothing else.

In: an output folder. Out: a ``VerificationReport``. Called by ``command`` and from Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from img2dataset.errors import OptionError, OutputError, one_line
from img2dataset.manifest import MANIFEST_NAME
from img2dataset.storage.locations import Location, locate
from img2dataset.storage.notes import read_note
from img2dataset.storage.runs import other_run_lives, process_of
from img2dataset.storage.temporaries import runs_with_temporaries
from img2dataset.verifying.checking import CheckSettings, ShardToCheck
from img2dataset.verifying.expectation import FolderRecord
from img2dataset.verifying.inventory import (
    FoundShard,
    Inventory,
    format_of,
    gaps,
    take_inventory,
)
from img2dataset.verifying.many_shards import check_shards
from img2dataset.verifying.removal import remove_shard
from img2dataset.verifying.report import VerificationReport, listed
from img2dataset.working.completing import finish_all_replacements


def verify(
    output_folder: str,
    *,
    images: bool = False,
    remove: bool = False,
    processes_count: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> VerificationReport:
    """Check that every shard of a dataset is there, whole, and says the same in each of its files.

    Args:
        output_folder: any fsspec path; of this program or of 1.47.0, in any format.
        images: also decode every image and compare its size with the metadata; originals stored unchecked
            are held against their hash.
        remove: remove bad shards, so that the next run makes them again. What is missing, not done, or
            could not be read for a reason outside of it is left as it is. Replacements that were cut short
            are completed first.
        processes_count: shards checked at once, each in a process; None for one a core.
        on_progress: called with the number of shards checked so far, and of all.

    Returns:
        What was found; its ``exit_status`` is 0 if nothing is wrong.

    Raises:
        OptionError: an argument's value is wrong.
        OutputError: the folder does not exist, cannot be listed, or holds nothing of a dataset.
        MissingDependency: its file system or format needs a package that is not installed.
    """
    if processes_count is not None and processes_count < 1:
        raise OptionError(f"--processes_count is {processes_count}; it must be 1 or more")
    location = locate(output_folder, "output_folder", OutputError)
    completed = _finish_replacements(location) if remove else []
    report = VerificationReport(output_folder)
    if completed:
        report.notes.append(f"completed, as their replacement had been cut short: {listed(completed)}")
    record = _read_record(location, report)
    inventory = take_inventory(location, record.output_formats)
    report.digits = inventory.digits
    if not any(inventory.shards()) and not inventory.kept and not record.expected_end:
        raise OutputError(f"output_folder {output_folder!r} holds no shards of a dataset")
    _look_at_folder(location, inventory, record, report)
    found = {shard.name: shard for shard in inventory.finished}
    keys_of: dict[str, int] = {}
    shards = _shards_to_check(inventory, record)
    count = _processes(location, len(found), processes_count)
    for done, check in enumerate(check_shards(CheckSettings(location, images), shards, count), 1):
        report.add(check)
        if check.key_digits is not None:
            keys_of[check.name] = check.key_digits
        if on_progress is not None:
            on_progress(done, len(found))
    report.bad.sort(key=lambda shard: (shard.shard_id, shard.name))
    report.unreadable.sort(key=lambda shard: (shard.shard_id, shard.name))
    report.folder_faults += _shared_keys(keys_of)
    if remove:
        for shard in report.bad:
            remove_shard(location, found[shard.name])
            report.removed.append(shard.name)
    report.commands = record.commands_for(report.not_whole, output_folder)
    return report


def _finish_replacements(location: Location) -> list[str]:
    """Bring to their end the replacements that were cut short: what they have won must not be removed."""
    try:
        return finish_all_replacements(location)
    except OutputError:
        raise
    except Exception as error:  # every file system has its own errors
        raise OutputError(
            f"output_folder {location.name!r}: a shard's replacement that was cut short cannot be completed: "
            f"{one_line(error)}; nothing was removed"
        ) from error


def _read_record(location: Location, report: VerificationReport) -> FolderRecord:
    """The folder's record; an unreadable one is a fault, since the next run refuses the folder for it."""
    try:
        text = read_note(location, MANIFEST_NAME)
    except Exception as error:
        raise OutputError(
            f"output_folder {location.name!r}: {MANIFEST_NAME} cannot be read: {one_line(error)}"
        ) from error
    if text is None:
        return FolderRecord([])
    try:
        record = FolderRecord.from_text(text)
    except ValueError as error:
        report.folder_faults.append(
            f"{MANIFEST_NAME} cannot be understood ({error}); remove it to go on without"
        )
        return FolderRecord([])
    if record.is_mixed:
        report.notes.append(
            "runs with different options were mixed here: what each shard should be is not known"
        )
    return record


def _look_at_folder(
    location: Location, inventory: Inventory, record: FolderRecord, report: VerificationReport
) -> None:
    """Everything that can be said without opening a shard."""
    numbers = sorted({shard.shard_id for shard in inventory.shards()} | set(inventory.kept))
    report.kept = inventory.kept
    report.missing = gaps(numbers, record.expected_end)
    report.unfinished = [shard.name for shard in inventory.unfinished]
    report.replaced = [shard.name for shard in inventory.replaced]
    report.folder_faults += _doubled_numbers(inventory)
    beyond = [shard.name for shard in inventory.finished if shard.shard_id >= record.expected_end]
    if record.is_complete and beyond:
        report.folder_faults.append(
            f"shards beyond the end of the list, which makes {record.expected_end:,}: {listed(beyond)}"
        )
    live = [process_of(run) for run in runs_with_temporaries(location) if other_run_lives(run)]
    if live and location.is_local:
        report.notes.append(
            f"process {live[0]} is writing here: shards that it has not finished are not done"
        )
    elif inventory.leftovers:
        report.notes.append(f"leftovers of runs, which the next run removes: {listed(inventory.leftovers)}")
    if inventory.others:
        report.notes.append(f"files of no shard, not looked at: {listed(inventory.others)}")
    common_format = format_of(inventory)
    strangers = [
        shard.name + ending
        for shard in inventory.finished
        for ending, other in inventory.formats.items()
        if ending in shard.endings
        and other.name != (record.of(shard.shard_id).output_format or common_format)
    ]
    if strangers:
        report.notes.append(f"files of another format than the dataset's, not looked at: {listed(strangers)}")


def _shards_to_check(inventory: Inventory, record: FolderRecord) -> Iterator[ShardToCheck]:
    common_format = format_of(inventory)
    for shard in inventory.finished:
        expectation = record.of(shard.shard_id)
        yield ShardToCheck(shard, expectation, expectation.output_format or common_format)


def _doubled_numbers(inventory: Inventory) -> Iterator[str]:
    """Shards whose number stands under two names, such as 00001 and 000001: a run would take them for one."""
    previous: FoundShard | None = None
    for shard in sorted(inventory.shards(), key=lambda shard: (shard.shard_id, shard.name)):
        if previous is not None and previous.shard_id == shard.shard_id:
            yield f"shard {shard.shard_id} stands under two names: {previous.name} and {shard.name}"
        previous = shard


def _shared_keys(key_digits: dict[str, int]) -> Iterator[str]:
    """Shards that have keys in common, which takes names of different lengths: 0001+23 and 00012+3."""
    for name, digits in key_digits.items():
        for length in range(1, len(name)):
            shorter = name[:length]
            if key_digits.get(shorter) == digits + len(name) - length:
                yield f"shards {shorter} and {name} have keys in common"


def _processes(location: Location, shards: int, asked: int | None) -> int:
    if "memory" in (location.file_system.protocol, *location.file_system.protocol):
        return 1  # it exists in this process only
    if asked is None:
        asked = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(asked, shards))
