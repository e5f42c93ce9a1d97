"""The reading room: a list of URLs in any input format → shards, streaming.

``open_reader`` finds and checks a list; ``Reader.shards`` hands out its shards. Called by the api and
the training side. Nothing heavy is imported before a reader is opened.
"""

from img2dataset.reading.reader import Reader, open_reader
from img2dataset.reading.settings import INPUT_FORMATS, ReadSettings

__all__ = ["INPUT_FORMATS", "ReadSettings", "Reader", "open_reader"]
