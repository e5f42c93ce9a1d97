"""The reading room: a list of URLs in any input format → shards, streaming.

``open_reader`` finds and checks a list; ``Reader.shards`` hands out its shards; ``only_new_rows`` leaves
out rows whose URL is in ``KnownUrls``; ``read_table`` gives all rows of a list at once. Called by the api and
the training side. Nothing heavy is imported before one of these is used. Each list format is a file in
``formats/``; what one is says ``list_format``.
"""

from img2dataset.reading.known_urls import KnownUrls
from img2dataset.reading.new_rows import only_new_rows
from img2dataset.reading.reader import Reader, format_of_path, open_reader, read_table

__all__ = ["KnownUrls", "Reader", "format_of_path", "only_new_rows", "open_reader", "read_table"]
