"""The reading room: a list of URLs in any input format → shards, streaming.

``open_reader`` finds and checks a list; ``Reader.shards`` hands out its shards; ``Reader.plan`` says where
they lie, and ``ShardReader`` reads them there, perhaps on another machine; ``only_new_rows`` leaves out rows
whose URL is in ``KnownUrls``; ``read_table`` gives all rows of a list at once. Called by the api and the
training side. Nothing heavy is imported before one of these is used. Each list format is a file in
``formats/``; ``list_format`` says what one is.
"""

from img2dataset.reading.known_urls import KnownUrls
from img2dataset.reading.new_rows import only_new_rows
from img2dataset.reading.reader import (
    Reader,
    format_of_path,
    open_reader,
    read_objects,
    read_table,
    read_text,
)
from img2dataset.reading.shard_reader import ShardReader

__all__ = [
    "KnownUrls",
    "Reader",
    "ShardReader",
    "format_of_path",
    "only_new_rows",
    "open_reader",
    "read_objects",
    "read_table",
    "read_text",
]
