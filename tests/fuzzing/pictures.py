"""What must hold of any bytes that are given for an image. Bytes go in; a broken promise raises.

Called by the fuzzers for what they make up, and by the tests for what the fuzzers once found.
"""

from __future__ import annotations

import io
import json
import re
from functools import lru_cache

from PIL import Image

from img2dataset.imaging import ImageFailure, ImageProcessor
from img2dataset.imaging.consent import MOST_SIGNALS, refusal_of, signals_in
from img2dataset.imaging.consent.signal import LONGEST_VALUE
from img2dataset.imaging.exif import exif_json
from img2dataset.imaging.formats.header import Header
from img2dataset.imaging.header import image_format, read_header
from img2dataset.options import ImageOptions
from img2dataset.printable import printable
from img2dataset.types import SAYS

FAILURES = re.compile(
    r"decode: (not an image|truncated|corrupt|unsupported format(: [a-z]{2,4})?)"
    r"|too large: pixels|encode: [ -~]{1,80}"
)
# 256 x 256: a decoder's time is spent on what the bytes say, not on pixels.
MOST_PIXELS = 65_536
# Pillow's name of each format whose header is parsed here. AVIF and PNM are read by Pillow itself; of an
# icon Pillow says the size that the directory has, which is not true of pictures above 256 pixels.
_PARSED_HERE = {
    "jpg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "webp": ("WEBP",),
    "gif": ("GIF",),
    "bmp": ("BMP",),
    "tiff": ("TIFF",),
    "jp2": ("JPEG2000",),
}


def check_header(body: bytes) -> None:
    """An answer or a documented failure; a size that decodes is the size that Pillow says.

    Raises:
        AssertionError: the size is another.
    """
    try:
        header = read_header(body)
    except ImageFailure as failure:
        _check_text(failure.failure)
        return
    assert header.width > 0
    assert header.height > 0
    assert 1 <= header.orientation <= 8
    if header.complete:
        _check_size_against_pillow(body, header)


def _check_text(failure: str) -> None:
    assert FAILURES.fullmatch(failure), failure


def _check_size_against_pillow(body: bytes, header: Header) -> None:
    """Only what Pillow can also decode counts: of a broken file there is no right size."""
    formats = _PARSED_HERE.get(header.extension)
    if formats is None or header.width * header.height > MOST_PIXELS:
        return
    try:
        with Image.open(io.BytesIO(body), formats=formats) as image:
            if image.width * image.height > MOST_PIXELS:
                return
            image.load()
            size = image.size
    except Exception:  # of hostile files Pillow raises nearly anything
        return
    assert (header.width, header.height) == size, f"{header.width} x {header.height}, Pillow says {size}"


@lru_cache(maxsize=1)
def processors() -> tuple[ImageProcessor, ...]:
    """Between them every way through the imaging room."""
    return (
        ImageProcessor(ImageOptions(resize_mode="no", max_decoded_pixels=MOST_PIXELS, exact_resize=True)),
        ImageProcessor(ImageOptions(image_size=5, exact_resize=False, max_decoded_pixels=MOST_PIXELS)),
        ImageProcessor(
            ImageOptions(
                image_size=16,
                resize_mode="center_crop",
                skip_reencode=True,
                encode_format="webp",
                convert_to_srgb=True,
                max_decoded_pixels=MOST_PIXELS,
                exact_resize=True,
            )
        ),
        ImageProcessor(ImageOptions(disable_all_reencoding=True, store_true_extension=True)),
    )


def check_decoding(body: bytes) -> None:
    """Every way of processing gives an image whose sizes are true, or a documented failure."""
    for processor in processors():
        try:
            made = processor(body)
        except ImageFailure as failure:
            _check_text(failure.failure)
            continue
        if made.image is body:
            continue
        assert made.width is not None
        assert made.original_width is not None
        assert made.original_height is not None
        assert 0 < made.original_width * made.original_height <= MOST_PIXELS
        with Image.open(io.BytesIO(made.image)) as stored:
            stored.load()
            assert stored.size == (made.width, made.height)


def check_exif(block: bytes) -> None:
    """An EXIF block gives None or a JSON object of texts."""
    text = exif_json(b"", Header("jpg", 1, 1, exif=block))
    if text is None:
        return
    tags = json.loads(text)
    assert all(isinstance(value, str) for value in tags.values())


def check_consent(body: bytes) -> None:
    """Any bytes give a short list of printable signals, the most restrictive first; it alone refuses."""
    signals = signals_in(body)
    assert len(signals) <= MOST_SIGNALS
    assert signals == signals_in(bytearray(body)) == signals_in(memoryview(body))
    for signal in signals:
        assert (signal.signal, signal.where) in (("iptc-data-mining", "xmp"), ("c2pa", "c2pa manifest"))
        assert 0 < len(signal.value) <= LONGEST_VALUE
        assert printable(signal.value) == signal.value
        assert "\n" not in signal.value
    ranks = [SAYS.index(signal.says) for signal in signals]
    assert ranks == sorted(ranks)
    assert (refusal_of(signals) is not None) == any(signal.says in ("no", "conditions") for signal in signals)


def check_format(body: bytes) -> None:
    """The same format whether the bytes can be changed or not."""
    assert image_format(body) == image_format(bytearray(body))
