"""The reading room: a list of URLs in any input format → shards, streaming.

``open_reader`` finds and checks a list; ``Reader.shards`` hands out its shards; ``only_new_rows`` leaves
out rows whose URL is in ``KnownUrls``. Called by the api and the training side. Nothing heavy is imported
before one of these is used.
"""

from img2dataset.reading.known_urls import KnownUrls
from img2dataset.reading.new_rows import only_new_rows
from img2dataset.reading.reader import Reader, open_reader
from img2dataset.reading.settings import INPUT_FORMATS, ReadSettings

__all__ = ["INPUT_FORMATS", "KnownUrls", "ReadSettings", "Reader", "only_new_rows", "open_reader"]
