"""The rows of an open shard as KEY.json texts.

In: the shard's metadata, once, and each successful sample. Out: the bytes of its KEY.json, and the rows
that cannot have one. Called by the writers of files and webdataset.
"""

from __future__ import annotations

from img2dataset.types import Sample
from img2dataset.writing.column_values import column_values
from img2dataset.writing.json_text import MetadataLayout
from img2dataset.writing.metadata import ShardMetadata


class SampleJson:
    """Writes the metadata of one shard's samples as JSON; input values are converted once a shard.

    Args:
        metadata: of the open shard.
    """

    def __init__(self, metadata: ShardMetadata) -> None:
        self._layout = MetadataLayout(metadata.columns)
        self.row_failures: dict[int, str] = {}
        columns = []
        for name, column in zip(
            metadata.input_columns.column_names, metadata.input_columns.columns, strict=True
        ):
            values, failures = column_values(column, for_json=True)
            columns.append(values)
            for index, reason in failures.items():
                self.row_failures.setdefault(index, f"{name}: {reason}")
        self._input_columns = columns
        self._computed_names = metadata.columns[len(columns) :]

    def encode(self, sample: Sample) -> bytes:
        """The text of the sample's KEY.json; ASCII, as ``json.dumps`` makes it by default."""
        index = sample.index
        computed = sample.metadata
        values = [column[index] for column in self._input_columns]
        values += [computed[name] for name in self._computed_names]
        return self._layout.text(values).encode("ascii")
