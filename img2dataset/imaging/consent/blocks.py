"""What every file format of this folder fills: ``Blocks``, with the bounds of what is read of one file."""

from __future__ import annotations

from collections.abc import Iterable

# Packets of some KB are usual; an extended one has more, mostly a depth map, behind what describes the image.
MOST_XMP_BYTES = 1 << 20
# With the thumbnails of all that a picture was made from.
MOST_C2PA_BYTES = 16 << 20
# Of each kind. Real files have one, and in a JPEG a few boxes of another sort.
MOST_BLOCKS = 16
# Segments or chunks that are stepped over. Pixels in chunks of 4 KB make a quarter of it in a 64 MB file.
MOST_PARTS = 65_536


class Blocks:
    """The blocks of one file that can hold a signal."""

    def __init__(self) -> None:
        self.xmp: list[bytes] = []
        self.c2pa: list[bytes] = []
        self._left = {"xmp": MOST_XMP_BYTES, "c2pa": MOST_C2PA_BYTES}

    @property
    def xmp_left(self) -> int:
        """How many more bytes of XMP are read."""
        return self._left["xmp"]

    def add_xmp(self, *parts: bytes | memoryview) -> None:
        """Keep one packet, of which these are the parts in their order; none of it beyond the bound."""
        self._add("xmp", self.xmp, parts)

    def add_c2pa(self, *parts: bytes | memoryview) -> None:
        """Keep one manifest store, likewise."""
        self._add("c2pa", self.c2pa, parts)

    def _add(self, kind: str, kept: list[bytes], parts: Iterable[bytes | memoryview]) -> None:
        taken = []
        for part in parts:
            taken.append(part[: self._left[kind]])
            self._left[kind] -= len(taken[-1])
        if len(kept) < MOST_BLOCKS and (block := b"".join(taken)):
            kept.append(block)
