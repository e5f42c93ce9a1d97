"""A tar on its way to a reader that cannot seek: its headers are looked at as its bytes pass.

In: any stream of bytes. Out: the same bytes, and an error where they are not a whole tar. Readers made on
``tarfile`` take a missing end mark, a header cut short or one that is damaged for the end of the archive:
with this between, none of these goes unnoticed. Called by the training side, for tars read as streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from img2dataset.errors import one_line
from img2dataset.formats.findings import BrokenFile
from img2dataset.formats.tar import BLOCK, Member, TarHeaders

_FOLDER = b"5"
_PAX_DEFAULTS = b"g"
_GNU_LONG_LINK = b"K"  # of the link that follows
_KINDS = {b"1": "hard link", b"2": "symbolic link", b"S": "file with holes"}
_CHUNK_BYTES = 1 << 20


class ByteStream(Protocol):
    """What can be read forwards."""

    def read(self, size: int, /) -> bytes: ...


class CheckedTar:
    """A stream of a tar; ``read`` raises ``BrokenFile`` where what passes is not one.

    Args:
        source: the tar, from its beginning.
        on_member: told of each regular file when its header passes.
    """

    def __init__(self, source: ByteStream, on_member: Callable[[Member], None]) -> None:
        self._source = source
        self._on_member = on_member
        self._headers = TarHeaders()
        self._passed = 0
        self._held = b""  # the beginning of what lies at the next header
        self._at_end_mark = False
        self._reason: str | None = None

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end.

        Raises:
            BrokenFile: they are not a tar's, the tar breaks off, or it cannot be read.
        """
        try:
            data = self._source.read(size)
        except Exception as error:  # every file system has its own errors
            self._reason = f"cannot be read: {one_line(error)}"
            raise BrokenFile(self._reason) from error
        try:
            if data or not size:
                self._look_at(data)
            else:
                self._check_whole()
        except ValueError as error:
            self._reason = f"is broken: {error}"
        self.check()
        return data

    def check(self) -> None:
        """Say again what ``read`` has raised, for readers that change an error or swallow it.

        Raises:
            BrokenFile: as ``read``.
        """
        if self._reason is not None:
            raise BrokenFile(self._reason)

    def finish(self) -> None:
        """Read what is left, to the end of the stream.

        Raises:
            BrokenFile: as ``read``, or it was raised before.
        """
        self.check()
        while self.read(_CHUNK_BYTES):
            pass

    def _look_at(self, data: bytes) -> None:
        contents = max(0, self._headers.position - self._passed)
        self._passed += len(data)
        self._held += data[contents:]
        while self._reason is None and (taken := self._take()):
            self._held = self._held[taken:]

    def _take(self) -> int:
        """How many of the bytes held, which begin at a header or behind the end mark, are done with."""
        position, held = self._headers.position, self._held
        if self._at_end_mark:
            if any(held):
                raise ValueError("it has something behind its end mark")
            return len(held)
        header = held[:BLOCK]
        if len(header) < BLOCK:
            return 0
        if not any(header):
            if len(held) < 2 * BLOCK:
                return 0
            if any(held[BLOCK : 2 * BLOCK]) or self._headers.awaits_member:
                raise ValueError(f"its end mark at byte {position} is broken")
            self._at_end_mark = True
            return 2 * BLOCK
        extended_size = self._headers.extended_size(header)
        extended = held[BLOCK : BLOCK + extended_size]
        if len(extended) < extended_size:
            return 0
        member = self._headers.take(header, extended)
        if member is not None:
            self._tell(member)
        return self._headers.position - position

    def _tell(self, member: Member) -> None:
        if member.is_regular:
            self._on_member(member)
        elif member.kind not in (_FOLDER, _PAX_DEFAULTS, _GNU_LONG_LINK):
            kind = _KINDS.get(member.kind, "special file")
            self._reason = (
                f"has the {kind} {member.name}, which a stream cannot give the contents of; pack the files"
                " themselves (GNU tar: --dereference --hard-dereference, without --sparse)"
            )

    def _check_whole(self) -> None:
        if self._at_end_mark:
            return
        if self._passed != self._headers.position or self._headers.awaits_member:
            raise ValueError(f"it ends at byte {self._passed}, in the middle of a member")
        raise ValueError(f"it ends at byte {self._passed} without the end mark of a tar")
