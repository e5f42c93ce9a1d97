"""A contact sheet of a dataset: sampled images come in, one picture with their keys and captions goes out."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field

from PIL import Image

from img2dataset.errors import OptionError, OutputError, one_line
from img2dataset.imaging import ImageFailure
from img2dataset.imaging.at_size import decode_at_size
from img2dataset.imaging.contact_sheet import contact_sheet
from img2dataset.imaging.geometry import scaled_size
from img2dataset.inspecting.one_sample import MOST_PIXELS
from img2dataset.inspecting.sampled_images import SampledImage
from img2dataset.storage.locations import locate
from img2dataset.storage.putting import put_named_file

SIZE = 160
COLUMNS = 8
TEXT_LINES = 3
FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
_BROKEN = (225, 200, 200)
# The font of the sheet has Latin letters; a caption with others would be a row of boxes.
_LAST_LATIN, _PUNCTUATION = "\u024f", "\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u20ac\u2122"


@dataclass
class Sheet:
    """``picture``: None without a sample. ``keys`` in its order; ``broken``: those that cannot be decoded."""

    picture: Image.Image | None = None
    keys: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def make_sheet(samples: Iterable[SampledImage], columns: int = COLUMNS, size: int = SIZE) -> Sheet:
    """A contact sheet, each image with its key and the beginning of its caption under it.

    Args:
        samples: one at a time is held as it is stored; on the sheet they are small.
        columns: images in a row.
        size: longest side of an image on it, pixels.
    """
    sheet = Sheet()
    pictures = []
    for sample in samples:
        sheet.keys.append(sample.key)
        try:
            picture = _small(sample.image, size)
        except ImageFailure:
            sheet.broken.append(sample.key)
            picture = Image.new("RGB", (size, size), _BROKEN)
        pictures.append((picture, f"{sample.key}\n{_drawable(sample.metadata.get('caption'))}"))
    if pictures:
        sheet.picture = contact_sheet(pictures, columns, size, TEXT_LINES)
    return sheet


def check_sheet_name(path: str) -> None:
    """Refuse a name whose ending says no format.

    Raises:
        OptionError: it is neither jpg nor png nor webp.
    """
    if path.rpartition(".")[2].lower() not in FORMATS:
        raise OptionError(f"--sheet is {path!r}; its name must end in .jpg, .png or .webp")


def write_sheet(picture: Image.Image, path: str) -> None:
    """Put a sheet where it is wanted, on any fsspec file system, in the format that its name says.

    Raises:
        OptionError: the name says none.
        OutputError: it cannot be written.
    """
    check_sheet_name(path)
    contents = io.BytesIO()
    picture.save(contents, FORMATS[path.rpartition(".")[2].lower()], quality=90)
    location = locate(path, "--sheet", OutputError)
    try:
        put_named_file(location, contents.getvalue())
    except Exception as error:  # every file system has its own errors
        raise OutputError(f"--sheet {path!r} cannot be written: {one_line(error)}") from error


def _small(body: bytes, size: int) -> Image.Image:
    def fitting(whole: tuple[int, int]) -> tuple[int, int]:
        longest = max(whole)
        return whole if longest <= size else scaled_size(*whole, size, longest)

    return Image.fromarray(decode_at_size(body, fitting, MOST_PIXELS))


def _drawable(caption: object) -> str:
    """A caption that the font can draw, on one line; nothing for any other."""
    text = " ".join(caption.split()) if isinstance(caption, str) else ""
    drawn = all(character <= _LAST_LATIN or character in _PUNCTUATION for character in text)
    return text if drawn and text.isprintable() else ""
