"""The bytes of a text list → blocks of whole lines, as text. Called by the line, csv and json readers.

Memory is one block and one line, whatever the file's length.
"""

from __future__ import annotations

import codecs
import gzip
import logging
from collections.abc import Iterator
from typing import Any

from img2dataset.counted import counted
from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading.files import ListFile
from img2dataset.reading.sniffing import HEAD_BYTES, Beginning, check_gzip_head, check_text_head

BLOCK_BYTES = 1 << 20
# A line is one row: no URL, caption or object is this long, so what is longer is no list.
MAX_LINE_BYTES = 64 << 20
# What a file begins with that is no UTF-8, where that is certain; the longer marks first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

logger = logging.getLogger("img2dataset")


def text_lines(file: ListFile, options: InputOptions) -> Iterator[str]:
    """Text of ``file`` line by line, without line ends, blank lines left out; else as ``text_blocks``."""
    for block in text_blocks(file, options):
        yield from (line for line in universal_lines(block) if line and not line.isspace())


def universal_lines(block: str) -> list[str]:
    """Lines ended by LF, CRLF or CR; not by the further line ends that ``str.splitlines`` knows."""
    if "\r" in block:
        block = block.replace("\r\n", "\n").replace("\r", "\n")
    return block.split("\n")


def text_blocks(file: ListFile, options: InputOptions, unlike: Beginning | None = None) -> Iterator[str]:
    """Text of ``file`` in blocks of whole lines, about 1 MiB each; the last may lack its line end.

    Blocks depend on the bytes alone, not on how they arrive, so that types taken from the first block
    are the same in every run. A byte-order mark is dropped. Bytes that are no text in the encoding become
    U+FFFD, and the lines that have them are counted in one warning at the end of the file.

    Args:
        file: read from its beginning.
        options: ``input_format`` says whether it is compressed, ``input_encoding`` how text is written in it.
        unlike: another text format's beginning, which this one cannot have.

    Raises:
        InputError: the file begins as another format does; it breaks (a truncated gzip stream, a
            failing disk or store), after the lines before the break; a line is over ``MAX_LINE_BYTES``.
    """
    counted = _Decoder(file)
    for block in _line_blocks(file, options, unlike, counted):
        yield counted.decode(block)
    counted.warn()


def byte_blocks(file: ListFile, options: InputOptions, unlike: Beginning | None = None) -> Iterator[bytes]:
    """The blocks of ``text_blocks`` as they stand in a file of UTF-8, without its byte-order mark.

    Lines that are no text are counted and warned of as there. Arguments and errors: the same.
    """
    counted = _Decoder(file)
    for block in _line_blocks(file, options, unlike, counted):
        counted.decode(block)
        yield block
    counted.warn()


def encoding_of(head: bytes, options: InputOptions) -> str:
    """The encoding of a text that begins with ``head``: as the option says, or by its mark; else UTF-8."""
    named = options.input_encoding
    named = named or next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    return codecs.lookup(named).name


def _line_blocks(
    file: ListFile, options: InputOptions, unlike: Beginning | None, counted: _Decoder
) -> Iterator[bytes]:
    first = True
    carried = b""
    for chunk in _in_utf8(byte_chunks(file, options.input_format), options, counted):
        if first:
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
            check_text_head(chunk[:HEAD_BYTES], options.input_format, file.path, unlike)
            first = False
        cut = chunk.rfind(b"\n") + 1
        if cut == 0 and b"\r" in chunk[:-1]:
            cut = chunk.rfind(b"\r", 0, -1) + 1
        if cut == 0:
            carried += chunk
            if len(carried) > MAX_LINE_BYTES:
                raise InputError(
                    f"{file.path} has a line of more than {MAX_LINE_BYTES >> 20} MiB, which is no row of "
                    f"a {options.input_format} list; check the file and input_format"
                )
            continue
        yield carried + chunk[:cut]
        carried = chunk[cut:]
    if carried:
        yield carried


def whole_text(file: ListFile, options: InputOptions) -> str:
    """A json document, decompressed; as ``text_blocks``."""
    counted = _Decoder(file)
    chunks = _in_utf8(byte_chunks(file, options.input_format), options, counted)
    content = b"".join(chunks).removeprefix(codecs.BOM_UTF8)
    check_text_head(content[:HEAD_BYTES], options.input_format, file.path)
    text = counted.decode(content)
    counted.warn()
    return text


class _Decoder:
    """Decodes UTF-8, and counts the lines that are none."""

    def __init__(self, file: ListFile) -> None:
        self._file = file
        self._lines = 0

    def decode(self, content: bytes) -> str:
        try:
            return content.decode()
        except UnicodeDecodeError:
            # Rare, so that a second look at each line of the block costs nothing.
            self._lines += sum(not _is_utf8(line) for line in content.split(b"\n"))
            return content.decode("utf-8", "replace")

    def replaced(self, text: str) -> str:
        """Count the lines of text from another encoding in which something was replaced."""
        self._lines += sum("\ufffd" in line for line in text.split("\n")) if "\ufffd" in text else 0
        return text

    def warn(self) -> None:
        """Say how many lines there were, once a file."""
        if self._lines and not self._file.told_of_encoding:
            self._file.told_of_encoding = True
            logger.warning(
                "%s of %s with bytes that are no text in its encoding; each became U+FFFD. If it is in"
                " another encoding, give it, such as --input_encoding latin-1",
                counted(self._lines, "line"),
                self._file.path,
            )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _in_utf8(chunks: Iterator[bytes], options: InputOptions, counted: _Decoder) -> Iterator[bytes]:
    """The same text in UTF-8. Without an encoding it is that already, unless its first bytes say another."""
    decoder: codecs.IncrementalDecoder | None = None
    for number, chunk in enumerate(chunks):
        if not number:
            encoding = encoding_of(chunk, options)
            if encoding != "utf-8":
                decoder = codecs.getincrementaldecoder(encoding)("replace")
        yield chunk if decoder is None else counted.replaced(decoder.decode(chunk)).encode("utf-8", "replace")
    if decoder is not None and (rest := decoder.decode(b"", True)):
        yield counted.replaced(rest).encode("utf-8", "replace")


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
