"""Before a run: what stands in the output folder, and where this run begins or goes on.

Comes in: checked options, the opened list, the output folder. Goes out: a ``RunInFolder``. Called by the api.
"""

from __future__ import annotations

import logging

from img2dataset.distributing.live_members import members_at_work
from img2dataset.distributing.member_notes import MEMBERS_FOLDER
from img2dataset.errors import OptionError, OutputError
from img2dataset.failures import is_retried
from img2dataset.manifest import MANIFEST_NAME, MODES_THAT_ADD, Manifest, OthersShards, RunRecord, new_record
from img2dataset.options import Options
from img2dataset.reading import Reader
from img2dataset.run_in_folder import RunInFolder, gaps_below
from img2dataset.working.output_folder import OutputFolder

logger = logging.getLogger("img2dataset")

LISTED_DIFFERENCES = 6
MODES_OF_ONE_PROGRAM = ("overwrite", *MODES_THAT_ADD)


def prepare(output: OutputFolder, options: Options, reader: Reader, shared: bool = False) -> RunInFolder:
    """Make the output folder ready and find out what is left to do.

    Args:
        output: the folder.
        options: of the run.
        reader: its list.
        shared: whether this is one of several programs that make one dataset in the folder together.

    Raises:
        OutputError: the folder cannot be written to, or this run would mix two datasets in it.
    """
    if shared and options.incremental_mode in MODES_OF_ONE_PROGRAM:
        raise OptionError(
            f"--incremental_mode {options.incremental_mode} cannot be used with --distributor"
            f" {options.distributor}: ranks begin at different times, and one that is late would begin anew;"
            " it takes incremental and retry_failed"
        )
    output.prepare(keep=[file.path for file in reader.files])
    output.finish_replacements()
    output.remove_stale_temporaries()
    if options.incremental_mode in MODES_OF_ONE_PROGRAM:
        _refuse_beside_members(output, options)
    if options.incremental_mode == "overwrite":
        output.empty()
    try:
        return _announce_and_begin(output, options, reader, shared)
    except BaseException:
        # Else the folder would say, for as long as this process lives, that a run is at work in it.
        output.remove_own_temporaries()
        raise


def _announce_and_begin(output: OutputFolder, options: Options, reader: Reader, shared: bool) -> RunInFolder:
    # Two runs that are started in the same moment must not both find an empty folder.
    with output.alone():
        at_work = list(output.announce(shared))
        for process in at_work:
            logger.warning(
                "process %d is writing to output_folder %s too: runs do not share their shards, each makes"
                " all of them; end one",
                process,
                options.output_folder,
            )
        begun = None
        while begun is None:
            begun = _begin(output, options, reader, at_work)
    return begun


def _begin(output: OutputFolder, options: Options, reader: Reader, at_work: list[int]) -> RunInFolder | None:
    """What this run is to do, noted in the folder; None if another run has noted its first meanwhile.

    ``at_work``: the processes of other runs that are writing to the folder.
    """
    text = output.read_note(MANIFEST_NAME)
    manifest = _manifest_from(output, text)
    record = new_record(options, reader.files, 0)
    highest: int | None = None
    if options.incremental_mode in MODES_THAT_ADD:
        done, highest = output.done_shards_and_highest()
    else:
        done = output.done_shards()
    going_on = _run_to_go_on_with(manifest, record, options)
    if going_on is not None:
        record.first_shard_id, record.mode = going_on.first_shard_id, going_on.mode
        record.left_out_fingerprint, record.gaps = going_on.left_out_fingerprint, going_on.gaps
        record.ended = going_on.ended if options.incremental_mode == "retry_failed" else None
        manifest.runs[manifest.runs.index(going_on)] = record
    else:
        if options.incremental_mode in MODES_THAT_ADD:
            _refuse_to_add_beside(options.output_folder, at_work)
            record.first_shard_id = 0 if highest is None else highest + 1
            if options.incremental_mode == "new_only":
                record.gaps = gaps_below(record.first_shard_id, done)
                if manifest.runs and not options.allow_mixing:
                    _refuse_other_options(options.output_folder, manifest.runs[-1], record)
        elif manifest.runs and not options.allow_mixing:
            raise OutputError(_refusal(options, manifest.runs[-1], record))
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
    begun = RunInFolder(output, options, reader, manifest, record, done, others=others)
    if options.incremental_mode == "retry_failed":
        if begun.takes_rows_from_folder and (options.bbox_col or options.verify_hash):
            raise OutputError(
                f"output_folder {options.output_folder!r}: its last run was --incremental_mode new_only:"
                " retry_failed then takes the rows from the folder, which has no column for --bbox_col and"
                " --verify_hash"
            )
        begun.to_retry = _shards_to_retry(output, done, options)
    elif options.incremental_mode == "new_only":
        begun.cut_short = going_on
    return begun


def _shards_to_retry(output: OutputFolder, done: set[int], options: Options) -> dict[int, int]:
    """The finished shards with rows to retry, and how many successes each has now."""
    found = {}
    for shard_id, stats in output.read_all_stats(done):
        messages: dict[str, int] = stats.get("status_dict", {})
        if any(count and is_retried(message, options.retry_classes) for message, count in messages.items()):
            found[shard_id] = int(stats.get("successes", 0))
    return found


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


def _refuse_beside_members(output: OutputFolder, options: Options) -> None:
    """Members on other machines would go on in a folder that was emptied, or take the same numbers."""
    with output.told_of(MEMBERS_FOLDER, "read"):
        members = members_at_work(output.location)
    if members:
        first = members[0]
        raise OutputError(
            f"output_folder {options.output_folder!r} is being written to by process {first.process_id} on"
            f" {first.host} ({first.name}), and --incremental_mode {options.incremental_mode} must be alone"
            " in it: wait for it, end it, or choose another folder"
        )


def _refuse_other_options(folder: str, before: RunRecord, now: RunRecord) -> None:
    differences = before.option_differences(now)
    if differences:
        raise OutputError(
            f"output_folder {folder!r} was made with other options: {'; '.join(differences)}. Give the same"
            " ones, or --allow_mixing to go on anyway"
        )


def _refusal(options: Options, before: RunRecord, now: RunRecord) -> str:
    differences = before.differences(now) or [
        "its last run was --incremental_mode new_only, as this one can be"
    ]
    shown = "; ".join(differences[:LISTED_DIFFERENCES])
    if len(differences) > LISTED_DIFFERENCES:
        shown += f"; and {len(differences) - LISTED_DIFFERENCES} more"
    # Ranks can neither add to a dataset nor replace it.
    ways_out = (
        "Give all ranks the same list and options, choose another folder"
        if options.distributor == "ranks"
        else "Choose another folder, or --incremental_mode extend to add to it, overwrite to replace it"
    )
    return (
        f"output_folder {options.output_folder!r} holds another dataset: {shown}. {ways_out},"
        " or --allow_mixing to go on anyway"
    )
