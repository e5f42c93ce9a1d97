"""The exception of this room: one image could not be made. Raised all over it."""

from __future__ import annotations

from img2dataset.failures import Failure


class ImageFailure(Exception):
    """One image failed; ``failure`` says why.

    ``width`` and ``height`` are what the metadata is to say of the original's size. They stay None for
    every failure of this room, filtered images included, because img2dataset 1.47.0 records null there.
    """

    def __init__(self, failure: Failure, width: int | None = None, height: int | None = None):
        super().__init__(failure)
        self.failure = failure
        self.width = width
        self.height = height
