"""Rows that are reserved now, taken out of finished shards.

In: the findings of a shard. Out: the same shard without their samples, in one step (``working.replacing``):
killed at any moment, the old shard stands or the new one. Their metadata stay, as those of rows that failed
by the opt-out; their signals are added to the column ``consent`` where the shard has one.

What a shard was made with is read from itself, so that shards of 1.47.0, and of several runs in one folder,
can be rewritten too.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from img2dataset.consenting.rechecking import Finding
from img2dataset.distributing.live_members import members_at_work
from img2dataset.errors import OutputError
from img2dataset.formats import consent_ledger
from img2dataset.formats.dataset import CONSENT_COLUMN, SIZE_COLUMNS
from img2dataset.formats.settings import WriteSettings
from img2dataset.inspecting.dataset import Dataset, open_dataset
from img2dataset.options import ImageOptions, NumberingOptions, Options, OutputOptions
from img2dataset.options.checking import HASHES
from img2dataset.storage.runs import new_run_id
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, Sample, ShardStats
from img2dataset.verifying.inventory import FoundShard
from img2dataset.working.finished_shard import FinishedShard, open_finished_shard
from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.shard_writer import ShardWriter

if TYPE_CHECKING:
    import pyarrow as pa


class Remover:
    """Rewrites shards of one folder, which it is alone in; made by ``removing_from``.

    Args:
        settings: of the output, as far as they are the same for all shards.
    """

    def __init__(self, settings: WriteSettings) -> None:
        self._settings = settings
        self._dataset: Dataset = open_dataset(settings.output_folder)
        self._shards = {shard.name: shard for shard in self._dataset.shards}

    def remove(self, shard: str, findings: Sequence[Finding]) -> int:
        """Take rows out of a shard.

        Args:
            shard: its name.
            findings: of its rows that are reserved; those that it no longer has an image of are passed over.

        Returns:
            How many were taken out.

        Raises:
            OutputError: the shard is broken, or was replaced meanwhile.
            Exception: it cannot be written; the old shard stands, or the next run puts the new one.
        """
        found = self._shards.get(shard)
        if found is None:
            raise OutputError(f"shard {shard} was removed meanwhile")
        settings = self._settings_of(found)
        finished = open_finished_shard(settings, found.shard_id)
        if finished is None:
            raise OutputError(f"shard {shard} was removed meanwhile")
        table = finished.metadata
        keys, urls, statuses = (table[name].to_pylist() for name in ("key", "url", "status"))
        by_row = {(finding.key, finding.url): finding for finding in findings}
        removed = {
            index: by_row[row]
            for index, row in enumerate(zip(keys, urls, strict=True))
            if row in by_row and statuses[index] == SUCCESS
        }
        if removed:
            self._rewrite(finished, settings, table, removed)
        return len(removed)

    def _rewrite(
        self, finished: FinishedShard, settings: WriteSettings, table: pa.Table, removed: dict[int, Finding]
    ) -> None:
        computed = settings.computed_columns
        input_columns = table.select([name for name in table.column_names if name not in computed])
        writer = ShardWriter(settings, finished.shard_id, input_columns)
        try:
            writer.keep(finished, [index for index in range(table.num_rows) if index not in removed])
            cells = table[CONSENT_COLUMN].to_pylist() if settings.consent_column else None
            for index, finding in removed.items():
                values: dict[str, Any] = dict.fromkeys((*computed, *SIZE_COLUMNS))
                values.update(key=finding.key, status=FAILED_TO_DOWNLOAD, error_message=str(finding.failure))
                if cells is not None:
                    values[CONSENT_COLUMN] = _with_signals(cells[index], finding)
                writer.write(
                    Sample(index, finding.key, None, settings.encode_format, caption=None, metadata=values)
                )
            writer.commit(_statistics(finished, table, removed))
        except BaseException:
            writer.discard()
            raise

    def _settings_of(self, shard: FoundShard) -> WriteSettings:
        """Those that a shard was made with, as far as its own files say them."""
        import pyarrow as pa

        schema = self._dataset.schema(shard)
        output_format = self._dataset.format_of(shard)
        names = schema.names
        if "url" not in names or "key" not in names:
            raise OutputError(f"shard {shard.name}: its metadata have no columns key and url")
        # What a run computes stands behind the input's columns, of which url is the last.
        computed = names[names.index("url") + 1 :]
        images = output_format.image_column(schema)
        named: dict[str, Any] = {} if images is None else {"encode_format": images}
        image = dataclasses.replace(
            self._settings.image,
            extract_exif="exif" in computed,
            compute_hash=next((name for name in HASHES if name in computed), None),
            **named,
        )
        return dataclasses.replace(
            self._settings,
            output_format=output_format.name,
            hugging_face_images=images is not None and pa.types.is_struct(schema.field(images).type),
            oom_shard_count=len(shard.name),
            number_sample_per_shard=10 ** self._digits_of_rows(shard),
            image=image,
            save_captions="caption" in names[: names.index("url")],
            consent_column=CONSENT_COLUMN in computed,
        )

    def _digits_of_rows(self, shard: FoundShard) -> int:
        first = self._dataset.rows_at(shard, [0])
        return max(0, len(str(first[0]["key"])) - len(shard.name)) if first else 0


@contextlib.contextmanager
def removing_from(options: Options) -> Iterator[Remover]:
    """A remover for an output folder that no run is at work in.

    What a run that was killed has left half replaced there is brought to its end first.

    Raises:
        OutputError: a run is at work in it, or it cannot be written to.
    """
    settings = WriteSettings(
        **vars(options.part(OutputOptions)),
        **vars(options.part(NumberingOptions)),
        image=options.part(ImageOptions),
        save_captions=False,
        run_id=new_run_id(),
    )
    output = OutputFolder(settings)
    output.finish_replacements()
    output.remove_stale_temporaries()
    try:
        with output.alone():
            at_work = output.announce()
            with output.told_of("notes of members", "read"):
                at_work += [note.process_id for note in members_at_work(output.location)]
        if at_work:
            raise OutputError(
                f"output_folder {output.path!r} is being written to by process {at_work[0]}, and --remove"
                " must be alone in it: wait for it, or end it"
            )
        yield Remover(settings)
    finally:
        output.remove_own_temporaries()


def _with_signals(cell: str | None, finding: Finding) -> str | None:
    """A cell of the column ``consent`` with what refuses its row now behind what was seen before."""
    try:
        before = consent_ledger.of_text(cell)
    except ValueError:
        before = []
    return consent_ledger.to_text([*before, *finding.signals])


def _statistics(finished: FinishedShard, table: pa.Table, removed: dict[int, Finding]) -> ShardStats:
    """Those of the shard without these samples; its times stay those of the download."""
    statuses, messages = table["status"].to_pylist(), table["error_message"].to_pylist()
    for index, finding in removed.items():
        statuses[index], messages[index] = FAILED_TO_DOWNLOAD, str(finding.failure)
    by_status = Counter(statuses)
    by_message = Counter(
        SUCCESS if status == SUCCESS else message for status, message in zip(statuses, messages, strict=True)
    )
    try:
        times = {name: float(finished.statistics[name]) for name in ("start_time", "end_time")}
    except (KeyError, TypeError, ValueError) as error:
        raise finished.broken("its statistics have no times") from error
    return ShardStats(
        shard_id=finished.shard_id,
        count=table.num_rows,
        successes=by_status[SUCCESS],
        failed_to_download=by_status[FAILED_TO_DOWNLOAD],
        failed_to_resize=by_status[FAILED_TO_RESIZE],
        status_dict=dict(by_message.most_common()),
        **times,
    )
