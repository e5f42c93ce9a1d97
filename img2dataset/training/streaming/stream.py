"""``stream``: a list of URLs comes in, finished samples go out. Train while downloading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from img2dataset.errors import OptionError
from img2dataset.training.load.said_once import SaidOnce
from img2dataset.training.streaming.engine import IMAGE_KINDS, ImageKind, SampleEngine, StreamedSample
from img2dataset.training.streaming.pool import StreamPool
from img2dataset.training.streaming.rows import Share, open_list_of, rows_of, stream_options
from img2dataset.types import SUCCESS

if TYPE_CHECKING:
    from img2dataset.options import Options
    from img2dataset.reading import Reader

DEFAULT_LOOK_AHEAD = 256


def stream(
    url_list: Any,
    *,
    image: ImageKind = "bytes",
    failures: bool = False,
    look_ahead: int = DEFAULT_LOOK_AHEAD,
    processes_count: int = 1,
    **options: Any,
) -> Iterator[StreamedSample]:
    """Download, resize and hand over the images of a list, as they are finished.

    Args:
        url_list: as for ``download``: a path, a folder, an iterable of URLs or rows, an Arrow table.
        image: "bytes": of an encoded file, as ``download`` would store it; "array": shape (height, width, 3),
            uint8, RGB; "pil": a ``PIL.Image.Image``.
        failures: also hand over the rows that failed, with ``image=None`` and their ``error_message``.
        look_ahead: finished samples that may wait for the consumer, in each process; when they do, the
            downloads wait too.
        processes_count: 1: in this process, on threads; more: in that many worker processes, each of which
            reads the list and takes its share of the rows.
        options: of ``download``, but those that say what is written. ``input_format`` is told from the list's
            ending if it is not given.

    Yields:
        ``StreamedSample``, every row once (every success, without ``failures``), in no particular order.

    Raises:
        OptionError: an option is wrong, or has no meaning here; before the first download.
        InputError: the list cannot be read as described.
    """
    if image not in IMAGE_KINDS:
        raise OptionError(f"image is {image!r}; it takes {', '.join(map(repr, IMAGE_KINDS))}")
    if look_ahead < 1:
        raise OptionError(f"look_ahead is {look_ahead!r}; it takes a number of samples from 1")
    if processes_count < 1:
        raise OptionError(f"processes_count is {processes_count!r}; it takes a whole number from 1")
    checked = stream_options(url_list, options)
    reader = open_list_of(checked)
    return _handed_over(checked, reader, image, failures, look_ahead, processes_count)


def _handed_over(
    options: Options, reader: Reader, image: ImageKind, failures: bool, look_ahead: int, processes_count: int
) -> Iterator[StreamedSample]:
    source: SampleEngine | StreamPool
    if processes_count > 1:
        source = StreamPool(options, image, look_ahead, processes_count)
    else:
        source = SampleEngine(rows_of(reader, options, Share()), options, image, look_ahead, SaidOnce())
    try:
        for batch in source.batches():
            for sample in batch:
                if failures or sample.status == SUCCESS:
                    yield sample
    finally:
        source.close()
