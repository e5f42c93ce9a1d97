"""A TIFF file comes in, 8-bit grey or BGR pixels go out, upright. Called by decode."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from img2dataset.failures import CORRUPT, TRUNCATED
from img2dataset.imaging.colour import Pixels, on_white, scaled_to_eight_bits
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.header import Malformed
from img2dataset.imaging.formats.tiff_directory import Directory, read_directory
from img2dataset.imaging.opencv import decode_with_opencv
from img2dataset.imaging.orientation import upright
from img2dataset.imaging.pillow import decode_with_pillow, open_with_pillow
from img2dataset.imaging.tiff import layout as fields
from img2dataset.imaging.tiff.colours import Colours
from img2dataset.imaging.tiff.data import Pieces
from img2dataset.imaging.tiff.layout import Layout, read_layout

_REVERSED = 2
_ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"


def decode_tiff(body: bytes | bytearray) -> tuple[Pixels, bool]:
    """The first image: (height, width) or (height, width, 3), uint8, BGR; and whether it was recoloured.

    Recoloured are ink, CIELab and what had alpha.

    Raises:
        ImageFailure: unsupported, truncated or corrupt.
    """
    try:
        directory = read_directory(body)
        layout = read_layout(directory)
        if layout.compression == fields.OLD_JPEG or (
            layout.photometric == fields.YCBCR and layout.compression != fields.JPEG
        ):
            return decode_with_pillow(open_with_pillow(body, "tiff")), False
        bands = _jpeg_bands if layout.compression == fields.JPEG else _bands
        pixels = np.empty((layout.height, layout.width, 3)[: 2 + _is_colour(layout)], np.uint8)
        for top, left, band in bands(body, directory, layout):
            target = pixels[top : top + band.shape[0], left : left + band.shape[1]]
            target[...] = band[: target.shape[0], : target.shape[1]]
    except struct.error:
        raise ImageFailure(TRUNCATED) from None
    except Malformed:
        raise ImageFailure(CORRUPT) from None
    if 2 <= layout.orientation <= 8:
        pixels = np.ascontiguousarray(upright(pixels, layout.orientation))
    return pixels, layout.alpha is not None or layout.photometric in (fields.INK, fields.CIELAB)


def _is_colour(layout: Layout) -> bool:
    return layout.photometric not in (fields.WHITE_IS_ZERO, fields.BLACK_IS_ZERO) or layout.alpha is not None


def _piece_positions(layout: Layout) -> Iterator[tuple[int, int, int, int]]:
    """Number, top, left and rows of each piece of a plane."""
    for piece in range(layout.across * layout.down):
        top = piece // layout.across * layout.piece_height
        rows = layout.piece_height if layout.tiled else min(layout.piece_height, layout.height - top)
        yield piece, top, piece % layout.across * layout.piece_width, rows


def _bands(
    body: bytes | bytearray, directory: Directory, layout: Layout
) -> Iterator[tuple[int, int, Pixels]]:
    """Finished pixels with the row and column at which they begin; tiles reach beyond the image."""
    options = directory.first(292 if layout.compression == 3 else 293, 0)
    reversed_bits = directory.first(266, 1) == _REVERSED
    colours = Colours(directory, layout)
    # Where each sample has a plane of its own, only the planes that are needed are decompressed.
    wanted = [*range(layout.colours), *([layout.alpha] if layout.alpha is not None else [])]
    planes = [0] if layout.planes == 1 else wanted
    readers = [Pieces(body, layout, reversed_bits, options) for _ in planes]
    pieces_a_plane = layout.across * layout.down
    for piece, top, left, rows in _piece_positions(layout):
        bands = [
            reader.bands(plane * pieces_a_plane + piece, rows)
            for reader, plane in zip(readers, planes, strict=True)
        ]
        for parts in zip(*bands, strict=True):
            samples = [colours.samples(part) for part in parts]
            chosen = samples[0][:, :, wanted] if layout.planes == 1 else np.concatenate(samples, axis=2)
            finished = _composed(colours.to_bgr(chosen[:, :, : layout.colours]), chosen, layout)
            yield top, left, finished
            top += finished.shape[0]


def _composed(colours: Pixels, samples: Pixels, layout: Layout) -> Pixels:
    """The colours, composed on white where there is alpha, which is then the last sample."""
    if layout.alpha is None:
        return colours
    alpha = scaled_to_eight_bits(samples[:, :, -1], layout.bits)
    if colours.ndim == 2:
        colours = np.repeat(colours[:, :, None], 3, axis=2)
    if layout.associated:
        composed: Pixels = np.minimum(colours.astype(np.uint16) + (255 - alpha[:, :, None]), 255)
        return composed.astype(np.uint8)
    return on_white(np.dstack([colours, alpha]))


def _jpeg_bands(
    body: bytes | bytearray, directory: Directory, layout: Layout
) -> Iterator[tuple[int, int, Pixels]]:
    """Each piece is a JPEG without its tables, which stand in the directory."""
    tables = directory.raw(347)[2:-2]
    # Whether colours are YCbCr stands in the directory as well, and libjpeg would guess.
    colours = _ADOBE + (b"\1" if layout.photometric == fields.YCBCR else b"\0")
    for piece, top, left, rows in _piece_positions(layout):
        offset, length = layout.offsets[piece], layout.lengths[piece]
        scan = body[offset + 2 : offset + length if length else None]
        if offset + length > len(body):
            raise ImageFailure(TRUNCATED)
        decoded = decode_with_opencv(b"\xff\xd8" + colours + tables + bytes(scan))
        if decoded is None or decoded.ndim != 2 + _is_colour(layout) or decoded.dtype != np.uint8:
            raise ImageFailure(CORRUPT)
        missing_rows = min(rows, layout.height - top) - decoded.shape[0]
        if missing_rows > 0 or min(layout.piece_width, layout.width - left) > decoded.shape[1]:
            raise ImageFailure(CORRUPT)
        if layout.photometric == fields.WHITE_IS_ZERO:
            decoded = 255 - decoded
        yield top, left, decoded[:rows, : layout.piece_width]
