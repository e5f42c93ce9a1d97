"""A list format: ``--input_format sitemap`` takes the images of a sitemap, as sites publish them.

A sitemap (https://www.sitemaps.org) names pages; Google's extension names the images of each. Columns:
``url`` of the image, ``page`` that it is on, ``caption`` and ``title`` where the sitemap has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import RecordFormat
from img2dataset.reading.records import Record
from img2dataset.reading.text import byte_chunks

PAGES = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
IMAGES = "{http://www.google.com/schemas/sitemap-image/1.1}"


class SitemapFormat(RecordFormat):
    compressible = True

    def records(self, file: ListFile, options: InputOptions) -> Iterator[Record]:
        """One record an image; a page without images has none. Memory is that of one page."""
        parser = XMLPullParser(["start", "end"])
        root: Element | None = None
        try:
            for chunk in byte_chunks(file, options.input_format):
                parser.feed(chunk)
                for event, element in parser.read_events():
                    if root is None:
                        root = element
                    if event == "end" and element.tag == f"{PAGES}url":
                        yield from images_of(element)
                        root.clear()
            parser.close()
        except ParseError as error:
            raise InputError(f"{file.path} is not a sitemap as input_format says: {error}") from error


def images_of(page: Element) -> Iterator[Record]:
    """The images of one ``<url>``."""
    for image in page.iter(f"{IMAGES}image"):
        yield {
            # None where the sitemap gives no address: that row fails, and is counted.
            "url": text_of(image, f"{IMAGES}loc"),
            "page": text_of(page, f"{PAGES}loc"),
            "caption": text_of(image, f"{IMAGES}caption"),
            "title": text_of(image, f"{IMAGES}title"),
        }


def text_of(element: Element, tag: str) -> str | None:
    found = element.find(tag)
    return found.text.strip() if found is not None and found.text else None
