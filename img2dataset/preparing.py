"""Before a run: what stands in the output folder, and where this run begins or goes on.

Comes in: checked options, the opened list, the output folder. Goes out: a ``Plan``. Called by the api.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from img2dataset.errors import OutputError
from img2dataset.failures import is_taken_again
from img2dataset.manifest import MANIFEST_NAME, MODES_THAT_ADD, Manifest, OthersShards, RunRecord, new_record
from img2dataset.options import Options
from img2dataset.reading import Reader
from img2dataset.writing import OutputFolder

logger = logging.getLogger("img2dataset")

LISTED_DIFFERENCES = 6


@dataclass
class Plan:
    """Where a run begins. ``done`` are the shards that an earlier run has finished; ``to_retry`` are those of
    them with rows to take again, and their successes so far; ``cut_short`` is the ``new_only`` run that this
    one goes on with. ``others`` are shards of other lists: this one must not come to them.
    ``from_folder``: the rows to take again come from the folder, since the list does not tell its shards.
    """

    first_shard_id: int
    done: set[int]
    manifest: Manifest
    record: RunRecord
    to_retry: dict[int, int] = field(default_factory=dict)
    cut_short: RunRecord | None = None
    others: OthersShards = field(default_factory=OthersShards)
    from_folder: bool = False

    @property
    def skipped(self) -> set[int]:
        """The shards that this run leaves as they are."""
        return self.done - self.to_retry.keys()

    @property
    def before(self) -> set[int]:
        """The finished shards that are not of this run: those whose URLs ``new_only`` leaves out."""
        own = set(self.record.gaps)
        return {shard_id for shard_id in self.done if shard_id < self.first_shard_id and shard_id not in own}

    def goes_on(self, known: str) -> bool:
        """Whether a ``new_only`` run that knows these URLs gives every shard the rows that it had.

        Not if retry_failed, say, has won some since; and it need not if no shard was made.
        """
        return self.record.known == known or self.before == self.done


def prepare(output: OutputFolder, options: Options, reader: Reader) -> Plan:
    """Make the output folder ready and find out what is left to do.

    Raises:
        OutputError: the folder cannot be written to, or this run would mix two datasets in it.
    """
    output.prepare(keep=[file.path for file in reader.files])
    output.finish_rewrites()
    output.remove_stale_temporaries()
    if options.incremental_mode == "overwrite":
        output.empty()
    try:
        return _announce_and_plan(output, options, reader)
    except BaseException:
        # Else the folder would say, for as long as this process lives, that a run is at work in it.
        output.remove_own_temporaries()
        raise


def _announce_and_plan(output: OutputFolder, options: Options, reader: Reader) -> Plan:
    # Two runs that are started in the same moment must not both find an empty folder.
    with output.alone():
        at_work = list(output.announce())
        for process in at_work:
            logger.warning(
                "process %d is writing to output_folder %s too: runs do not share their shards, each makes"
                " all of them; end one",
                process,
                options.output_folder,
            )
        plan = None
        while plan is None:
            plan = _plan(output, options, reader, at_work)
    return plan


def _plan(output: OutputFolder, options: Options, reader: Reader, at_work: list[int]) -> Plan | None:
    """What this run is to do, noted in the folder; None if another run has noted its first meanwhile.

    ``at_work``: the processes of other runs that are writing to the folder.
    """
    text = output.read_note(MANIFEST_NAME)
    manifest = _manifest_from(output, text)
    record = new_record(options, reader.files, 0)
    done = output.done_shards()
    going_on = _run_to_go_on_with(manifest, record, options)
    if going_on is not None:
        record.first_shard_id, record.mode = going_on.first_shard_id, going_on.mode
        record.known, record.gaps = going_on.known, going_on.gaps
        record.ended = going_on.ended if options.incremental_mode == "retry_failed" else None
        manifest.runs[manifest.runs.index(going_on)] = record
    else:
        if options.incremental_mode in MODES_THAT_ADD:
            _refuse_to_add_beside(options.output_folder, at_work)
            highest = output.highest_shard()
            record.first_shard_id = 0 if highest is None else highest + 1
            if options.incremental_mode == "new_only":
                record.gaps = _gaps(record.first_shard_id, done)
                if manifest.runs and not options.allow_mixing:
                    _refuse_other_options(options.output_folder, manifest.runs[-1], record)
        elif manifest.runs and not options.allow_mixing:
            raise OutputError(_refusal(options.output_folder, manifest.runs[-1], record))
        elif done and not manifest.runs:
            logger.warning(
                "output_folder %s has shards and no record of how they were made; going on, as if with the"
                " same options and list",
                options.output_folder,
            )
        manifest.runs.append(record)
    if text is not None:
        output.write_note(MANIFEST_NAME, manifest.to_text())
    elif not output.create_note(MANIFEST_NAME, manifest.to_text()):
        return None
    others = OthersShards() if options.allow_mixing else manifest.made_by_later_runs(record)
    if options.incremental_mode == "retry_failed":
        from_folder = record.mode == "new_only"
        if from_folder and (options.bbox_col or options.verify_hash):
            raise OutputError(
                f"output_folder {options.output_folder!r}: its last run was new_only: retry_failed then takes"
                " the rows from the folder, which has no column for --bbox_col and --verify_hash"
            )
        return Plan(
            record.first_shard_id,
            done,
            manifest,
            record,
            _shards_to_retry(output, done, options),
            others=others,
            from_folder=from_folder,
        )
    cut_short = going_on if options.incremental_mode == "new_only" else None
    return Plan(record.first_shard_id, done, manifest, record, cut_short=cut_short, others=others)


def begin_behind_all_shards(output: OutputFolder, plan: Plan) -> set[int]:
    """Let a ``new_only`` run that cannot go on begin anew; the shards whose URLs it is to leave out too."""
    made = plan.done - plan.before
    if plan.cut_short is not None:
        plan.manifest.runs[-1:] = [plan.cut_short, plan.record]
    plan.first_shard_id = plan.record.first_shard_id = (output.highest_shard() or 0) + 1
    plan.record.gaps = _gaps(plan.first_shard_id, plan.done)
    return made


def _gaps(end: int, done: set[int]) -> list[int]:
    """The numbers below ``end`` that no finished shard has, such as one that was damaged and removed."""
    return [number for number in range(end) if number not in done]


def note_known(output: OutputFolder, plan: Plan, known: str) -> None:
    """Note which URLs a ``new_only`` run leaves out, before it makes a shard."""
    plan.record.known = known
    output.write_note(MANIFEST_NAME, plan.manifest.to_text())


def _shards_to_retry(output: OutputFolder, done: set[int], options: Options) -> dict[int, int]:
    """The finished shards with rows to take again, and how many successes each has now."""
    found = {}
    for shard_id in done:
        stats = output.read_stats(shard_id)
        messages: dict[str, int] = stats.get("status_dict", {})
        if any(
            count and is_taken_again(message, options.retry_classes) for message, count in messages.items()
        ):
            found[shard_id] = int(stats.get("successes", 0))
    return found


def finish(output: OutputFolder, plan: Plan, rows_of_files: list[int], all_made: bool) -> None:
    """Note how many rows each file of the list has, and that the run came to its end if all was made.

    One with failed shards is gone on with by the same command, as one that was interrupted.
    """
    if not plan.from_folder:
        plan.record.ended = time.time() if all_made else None
    for file, rows in zip(plan.record.files, rows_of_files, strict=False):
        file["rows"] = rows
    output.write_note(MANIFEST_NAME, plan.manifest.to_text())


def _manifest_from(output: OutputFolder, text: str | None) -> Manifest:
    if text is None:
        return Manifest([])
    try:
        return Manifest.from_text(text)
    except ValueError as error:
        raise OutputError(
            f"output_folder {output.path!r}: {MANIFEST_NAME} cannot be understood ({error}); remove it to go"
            " on without a record of what the folder was made from"
        ) from error


def _run_to_go_on_with(manifest: Manifest, record: RunRecord, options: Options) -> RunRecord | None:
    """The earlier run that this one continues; an extension that came to its end is not continued."""
    if options.incremental_mode == "new_only":
        last = manifest.runs[-1] if manifest.runs else None
        goes_on = last is not None and last.mode == "new_only" and last.ended is None
        return last if last is not None and goes_on and not last.differences(record) else None
    found = manifest.find(record)
    if found is None and options.incremental_mode == "retry_failed":
        return next((run for run in reversed(manifest.runs) if not run.differences(record)), None)
    if found is not None and options.incremental_mode == "extend" and found.ended is not None:
        return None
    return found


def _refuse_to_add_beside(folder: str, at_work: list[int]) -> None:
    """Which shards are the highest is not known while another run makes some: both would take the same."""
    if at_work:
        raise OutputError(
            f"output_folder {folder!r} is being written to by process {at_work[0]}, and this run is to add"
            " shards behind the highest: wait for it, end it, or choose another folder"
        )


def _refuse_other_options(folder: str, before: RunRecord, now: RunRecord) -> None:
    differences = before.option_differences(now)
    if differences:
        raise OutputError(
            f"output_folder {folder!r} was made with other options: {'; '.join(differences)}. Give the same"
            " ones, or --allow_mixing to go on anyway"
        )


def _refusal(folder: str, before: RunRecord, now: RunRecord) -> str:
    differences = before.differences(now) or [
        "its last run was --incremental_mode new_only, as this one can be"
    ]
    shown = "; ".join(differences[:LISTED_DIFFERENCES])
    if len(differences) > LISTED_DIFFERENCES:
        shown += f"; and {len(differences) - LISTED_DIFFERENCES} more"
    return (
        f"output_folder {folder!r} holds another dataset: {shown}. Choose another folder, or"
        " --incremental_mode extend to add to it, overwrite to replace it, or --allow_mixing to go on anyway"
    )
