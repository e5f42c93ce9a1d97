"""Writing: finished samples in, whole shards out.

Called by the worker (``ShardWriter``, ``open_finished_shard``, ``open_unfinished_shard``) and by the api
(``OutputFolder``).

Reading order: ``settings`` (what is asked for), ``keys`` (names), ``metadata`` (the table of all rows),
``sample_writer`` (what a format is) and one ``*_format`` a format, ``commit`` (how files come to stand
under their final names), ``shard_writer`` (all of it, for one shard), ``output_folder``. Where failed rows
of a finished shard are taken again: ``finished_shard`` (what stands), ``replacing`` and ``rewriting``.
Where a stop left a shard unfinished: ``unfinished``.
"""

from img2dataset.writing.finished_shard import FinishedShard, open_finished_shard
from img2dataset.writing.keys import sample_key, shard_name
from img2dataset.writing.output_folder import OutputFolder
from img2dataset.writing.settings import WriteSettings
from img2dataset.writing.shard_writer import ShardWriter
from img2dataset.writing.unfinished import open_unfinished_shard

__all__ = [
    "FinishedShard",
    "OutputFolder",
    "ShardWriter",
    "WriteSettings",
    "open_finished_shard",
    "open_unfinished_shard",
    "sample_key",
    "shard_name",
]
