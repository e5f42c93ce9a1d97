"""What a TIFF's directory says of its pixels, checked: a ``Directory`` comes in, a ``Layout`` goes out."""

from __future__ import annotations

from dataclasses import dataclass

from img2dataset.failures import CORRUPT, TRUNCATED, UNSUPPORTED
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.tiff_directory import Directory

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
NOTHING, FAX, OLD_JPEG, JPEG, PACKBITS = 1, (2, 3, 4), 6, 7, 32773
LZW, DEFLATE, LZMA, ZSTD = 5, (8, 32946), 34925, 50000
_COMPRESSIONS = frozenset({NOTHING, *FAX, OLD_JPEG, JPEG, PACKBITS, LZW, *DEFLATE, LZMA, ZSTD})
_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, INK: 4, YCBCR: 3, CIELAB: 3}
_UNSIGNED, _UNDEFINED = 1, 4
_ASSOCIATED, _UNASSOCIATED = 1, 2
# Four inks with some spot colours; more samples are measurements, not a picture.
_MOST_SAMPLES = 32
# Strips of a single row are usual, so there may be many; each takes some µs.
_MOST_PIECES = 100_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes in pixels, before orientation.

    Attributes:
        colours: how many samples are colours; they come first.
        alpha: which sample is alpha, or None. ``associated``: the colours are multiplied by it.
        piece_width, piece_height: of a strip or tile; the last strip has fewer rows.
        planes: 1, or ``samples`` where each sample has its own pieces.
        offsets, lengths: of the pieces in the file, plane by plane.
    """

    width: int
    height: int
    orientation: int
    compression: int
    photometric: int
    bits: int
    samples: int
    colours: int
    alpha: int | None
    associated: bool
    predictor: int
    tiled: bool
    piece_width: int
    piece_height: int
    planes: int
    offsets: list[int]
    lengths: list[int]

    @property
    def across(self) -> int:
        """Pieces in a row of them."""
        return -(-self.width // self.piece_width)

    @property
    def down(self) -> int:
        """Rows of pieces."""
        return -(-self.height // self.piece_height)


def read_layout(directory: Directory) -> Layout:
    """The layout of the first image.

    Raises:
        ImageFailure: unsupported, or fields that contradict one another.
        struct.error: values beyond the file.
    """
    width, height = directory.first(256, 0), directory.first(257, 0)
    samples = directory.first(277, 1)
    compression = directory.first(259, NOTHING)
    photometric = directory.first(262, -1)
    if photometric == -1:
        # Required, and missing in real files all the same.
        photometric = RGB if samples >= 3 else WHITE_IS_ZERO if compression in FAX else BLACK_IS_ZERO
    colours = _COLOURS.get(photometric, 0)
    _refuse_unsupported(directory, compression, photometric, samples)
    if samples < colours or width < 1 or height < 1:
        raise ImageFailure(CORRUPT)
    extra = directory.all(338, samples)
    alphas = [sample for sample, kind in enumerate(extra) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    alpha = colours + alphas[0] if alphas else None
    tiled = 322 in directory.entries
    piece_width = directory.first(322, width) if tiled else width
    piece_height = directory.first(323, height) if tiled else min(directory.first(278, height), height)
    planes = samples if directory.first(284, 1) == 2 else 1
    if piece_width < 1 or piece_height < 1 or (alpha is not None and alpha >= samples):
        raise ImageFailure(CORRUPT)
    count = -(-width // piece_width) * -(-height // piece_height) * planes
    # A tile much larger than the image takes memory that the limit on the image's pixels does not see.
    if count > _MOST_PIECES or piece_width * piece_height > 4 * width * height + (1 << 20):
        raise ImageFailure(CORRUPT)
    offsets = directory.all(324 if tiled else 273, count)
    if len(offsets) < count:
        raise ImageFailure(TRUNCATED if offsets else CORRUPT)
    lengths = directory.all(325 if tiled else 279, count)
    return Layout(
        width=width,
        height=height,
        orientation=directory.first(274, 1),
        compression=compression,
        photometric=photometric,
        bits=directory.first(258, 1),
        samples=samples,
        colours=colours,
        alpha=alpha,
        associated=bool(alphas) and extra[alphas[0]] == _ASSOCIATED,
        predictor=directory.first(317, 1),
        tiled=tiled,
        piece_width=piece_width,
        piece_height=piece_height,
        planes=planes,
        offsets=offsets,
        lengths=lengths + [0] * (count - len(lengths)),
    )


def _refuse_unsupported(directory: Directory, compression: int, photometric: int, samples: int) -> None:
    bits = directory.all(258, samples) or [1]
    formats = directory.all(339, samples) or [_UNSIGNED]
    supported = (
        compression in _COMPRESSIONS
        and photometric in _COLOURS
        and 1 <= samples <= _MOST_SAMPLES
        and len(set(bits)) == 1
        and 1 <= bits[0] <= 16
        and all(kind in (_UNSIGNED, _UNDEFINED) for kind in formats)
        and directory.first(317, 1) in (1, 2)
        and (directory.first(317, 1) == 1 or bits[0] in (8, 16))
        and (photometric != INK or directory.first(332, 1) == 1)
        and (photometric != CIELAB or bits[0] == 8)
        and (compression not in FAX or (bits[0] == 1 and samples == 1))
        # OpenCV and Pillow decode these, and only the common forms.
        and (
            (photometric != YCBCR and compression not in (JPEG, OLD_JPEG))
            or (bits[0] == 8 and directory.first(284, 1) == 1 and samples in (1, 3, 4))
        )
    )
    if not supported:
        raise ImageFailure(UNSUPPORTED)
