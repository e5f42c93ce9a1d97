"""The bytes of a text list → blocks of whole lines, as text. Called by the line, csv and json readers.

Memory is one block and one line, whatever the file's length.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

from img2dataset.errors import InputError
from img2dataset.reading.files import ListFile
from img2dataset.reading.sniffing import HEAD_BYTES, check_gzip_head, check_text_head

BLOCK_BYTES = 1 << 20
# A line is one row: no URL, caption or object is this long, so what is longer is no list.
MAX_LINE_BYTES = 64 << 20


def text_blocks(file: ListFile, input_format: str, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[str]:
    """Text of ``file`` in blocks of whole lines, about 1 MiB each; the last may lack its line end.

    Blocks depend on the bytes alone, not on how they arrive, so that types taken from the first block
    are the same in every run. A byte-order mark is dropped; what is not UTF-8 becomes U+FFFD.

    Raises:
        InputError: the file begins as another format does; it breaks (a truncated gzip stream, a
            failing disk or store), after the lines before the break; a line is over ``max_line_bytes``.
    """
    first = True
    carried = b""
    for chunk in byte_chunks(file, input_format):
        if first:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
            check_text_head(chunk[:HEAD_BYTES], input_format.removesuffix(".gz"), file.path)
            first = False
        cut = chunk.rfind(b"\n") + 1
        if cut == 0 and b"\r" in chunk[:-1]:
            cut = chunk.rfind(b"\r", 0, -1) + 1
        if cut == 0:
            carried += chunk
            if len(carried) > max_line_bytes:
                raise InputError(
                    f"{file.path} has a line of more than {max_line_bytes >> 20} MiB, which is no row of "
                    f"a {input_format} list; check the file and input_format"
                )
            continue
        yield (carried + chunk[:cut]).decode("utf-8", "replace")
        carried = chunk[cut:]
    if carried:
        yield carried.decode("utf-8", "replace")


def whole_text(file: ListFile, input_format: str) -> bytes:
    """All bytes of a json document, decompressed."""
    content = b"".join(byte_chunks(file, input_format)).removeprefix(b"\xef\xbb\xbf")
    check_text_head(content[:HEAD_BYTES], input_format.removesuffix(".gz"), file.path)
    return content


def byte_chunks(file: ListFile, input_format: str) -> Iterator[bytes]:
    """Decompressed bytes, ``BLOCK_BYTES`` at a time; those before a break come before its InputError."""
    with file.open() as stream:
        source: Any = stream
        if input_format.endswith(".gz"):
            # read1 hands out what is there and raises at the next call; read would lose it.
            source = gzip.GzipFile(fileobj=stream, mode="rb")
        read = source.read1 if hasattr(source, "read1") else source.read
        anything = ended = False
        while not ended:
            pieces: list[bytes] = []
            missing = BLOCK_BYTES
            broken: Exception | None = None
            while missing and not ended:
                try:
                    piece = read(missing)
                except Exception as error:  # every store has its own errors
                    broken = error
                    break
                ended = not piece
                pieces.append(piece)
                missing -= len(piece)
            if missing < BLOCK_BYTES:
                anything = True
                yield b"".join(pieces)
            if broken is not None:
                if not anything and isinstance(broken, gzip.BadGzipFile):
                    check_gzip_head(file.head(2), input_format, file.path)
                reason = " ".join(str(broken).split()) or type(broken).__name__
                raise InputError(
                    f"{file.path} breaks off: {reason}; the rows before the break were used, get a whole "
                    "copy of the file"
                ) from broken
