"""Small pictures for a page, made in a process of their own: images come in, WebP of bounded size goes out.

What is stored may be as it came from the web (``disable_all_reencoding``): a picture that breaks a decoder,
or takes all memory, costs its thumbnail and not the run that has just ended.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import queue
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from img2dataset.processes import Child, Ended, Heard, Parent, Program, bury, join_parent

SIDE, MOST_BYTES = 224, 8_000
MOST_PIXELS = 120_000_000
_QUALITIES = (70, 45, 25)
# Of all of them; one that takes longer is not waited for.
PATIENCE_S = 20.0
_MEMORY_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """``image``: WebP. ``format``: what the stored image is, as Pillow calls it."""

    image: bytes
    width: int
    height: int
    format: str


class Thumbnails:
    """A process that makes thumbnails, from the beginning of the ``with`` block to its end.

    It starts while other things are read: that takes as long as what it does for a small folder. Another one
    takes its place if it dies.

    Raises:
        OSError, RuntimeError: no process or thread can be started.
    """

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[Heard[Thumbnail] | Ended] = queue.SimpleQueue()
        self._number = 0
        self._child = self._start()

    def __enter__(self) -> Thumbnails:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _start(self) -> Child[bytes, Thumbnail]:
        program = Program("img2dataset.reporting.report.thumbnails", "thumbnails")
        return Child(self._number, program, self._heard.put)

    def _end(self) -> None:
        self._child.kill()
        bury([self._child], 1.0)

    def of(self, images: Sequence[bytes], patience_s: float = PATIENCE_S) -> list[Thumbnail | None]:
        """One for each image; None for what cannot be shown.

        Args:
            images: as they are stored.
            patience_s: how long they are waited for.
        """
        found: list[Thumbnail | None] = []
        until = time.monotonic() + patience_s
        while True:
            found += self._heard_of(images[len(found) :], until)
            if len(found) == len(images):
                return found
            self._end()
            self._number += 1
            self._child = self._start()

    def _heard_of(self, images: Sequence[bytes], until: float) -> list[Thumbnail | None]:
        """What the process makes of these images; None for the one that it dies of, which is the last."""
        for image in images:
            self._child.send(image)
        found: list[Thumbnail | None] = []
        while len(found) < len(images):
            try:
                said = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return found + [None] * (len(images) - len(found))
            if said.child != self._number:
                continue  # the end of an earlier one
            if isinstance(said, Ended):
                return [*found, None]
            found.append(said.message if said.message.image else None)
        return found


def main() -> None:
    """Serve one report, until it ends this process."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    parent: Parent[bytes, Thumbnail] = join_parent()
    # Loaded before the first image is there.
    importlib.import_module("PIL.ImageOps")
    while True:
        parent.say(thumbnail_of(parent.hear()) or Thumbnail(b"", 0, 0, ""))


def thumbnail_of(image: bytes) -> Thumbnail | None:
    """A small picture of an image; None where there is none to be made."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # the bound is the next lines'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(image)) as opened:
                image_format = opened.format or ""
                if opened.width * opened.height > MOST_PIXELS:
                    return None
                opened.draft("RGB", (SIDE, SIDE))
                opened.thumbnail((SIDE, SIDE))
                turned = ImageOps.exif_transpose(opened)
                picture = turned.convert("RGBA" if "A" in turned.getbands() else "RGB")
            return _encoded(picture, image_format)
        except Exception:  # Pillow raises whatever its plugins do
            return None


def _encoded(picture: object, image_format: str) -> Thumbnail | None:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    while True:
        for quality in _QUALITIES:
            encoded = io.BytesIO()
            picture.save(encoded, "WEBP", quality=quality, method=2)
            if encoded.tell() <= MOST_BYTES:
                return Thumbnail(encoded.getvalue(), picture.width, picture.height, image_format)
        if max(picture.size) < 32:
            return None
        picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
