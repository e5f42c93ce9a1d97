"""What every parser of this folder hands out: ``Header``, or one of two exceptions."""

from __future__ import annotations

from dataclasses import dataclass


class EndsEarly(Exception):
    """The file ends before its own structure does."""


class Malformed(Exception):
    """The structure contradicts itself."""


@dataclass(slots=True)
class Header:
    """What a file says of its image. Sizes in pixels as stored, before orientation.

    Attributes:
        extension: the format, by the ending it is stored under, without a dot.
        orientation: EXIF orientation 1 to 8; 1 where the decoder turns the image by itself (TIFF).
        exif: where the EXIF block (a TIFF structure) lies in the file, or the block itself.
        bits: bits a sample.
        complete: False where the end the format promises is missing.
        profile: whether a colour profile is embedded.
        pillow: whether Pillow is to decode, because OpenCV cannot or is wrong.
        opaque: the fourth channel of the pixels is no transparency (TGA).
        four_inks: the JPEG holds CMYK or YCCK. ``ink_inverted``: with full ink as 0, as Adobe writes it.
        sequential: the JPEG has one scan, of all components, without restart marks.
        progressive: the JPEG is; ``grey``: it has one component.
        entropy_start: where the JPEG's first scan begins.
        transparent_grey: the PNG's grey value, in 8 or 16 bits, that stands for transparent.
        frame: (left, top, width, height) of a GIF's first frame.
        payload: where the image proper lies in the file, when it is wrapped (ICO); of a PNM where its pixels
            begin, and its largest value.
    """

    extension: str
    width: int
    height: int
    orientation: int = 1
    exif: tuple[int, int] | bytes | None = None
    bits: int = 8
    complete: bool = True
    profile: bool = False
    pillow: bool = False
    opaque: bool = False
    four_inks: bool = False
    ink_inverted: bool = False
    sequential: bool = False
    progressive: bool = False
    grey: bool = False
    entropy_start: int = 0
    transparent_grey: int | None = None
    frame: tuple[int, int, int, int] | None = None
    payload: tuple[int, int] | None = None
