"""What a source string can be, and reading what need not be downloaded. Called by ``loading``.

Sources: ``http(s)://`` URLs, ``data:`` URLs, absolute paths, paths relative to ``base_path``, and, where
allowed, any file system of fsspec.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from img2dataset import failures
from img2dataset.errors import Img2datasetError
from img2dataset.failures import Failure
from img2dataset.storage.locations import open_path
from img2dataset.training.load.cache_entry import Entry, instead_of_image

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
SHOWN_SOURCE_CHARACTERS = 200


class ImageLoadError(Img2datasetError):
    """A source cannot be loaded.

    ``source`` is the URL or path, as given; ``reason`` the ``Failure``. The exception that caused it, if any,
    is its ``__cause__``.
    """

    def __init__(self, message: str, source: str = "", reason: str = ""):
        super().__init__(message)
        self.source = source
        self.reason = reason

    @classmethod
    def of(cls, source: Any, reason: Failure, note: str = "") -> ImageLoadError:
        """The error for ``source``, shown in at most 200 characters (``data:`` URLs are long).

        ``note``: what the message says besides, of this one source.
        """
        text = source if isinstance(source, str) else repr(source)
        shown = text if len(text) <= SHOWN_SOURCE_CHARACTERS else text[: SHOWN_SOURCE_CHARACTERS - 3] + "..."
        return cls(f"{shown}: {reason} ({note})" if note else f"{shown}: {reason}", text, reason)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._again, (str(self), self.source, self.reason, self.__cause__)

    @classmethod
    def _again(cls, message: str, source: str, reason: str, cause: BaseException | None) -> ImageLoadError:
        error = cls(message, source, reason)
        error.__cause__ = cause  # pickle leaves it out of exceptions
        return error


class DownloadFailed(OSError):
    """What happened to a download, where no other exception says it: an HTTP status, a page, a refusal."""


@dataclass(frozen=True)
class SourceReader:
    """Reads the bytes of sources, within limits; the arguments are those of ``ImageLoader``."""

    base_path: Path | None
    max_bytes: int
    allow_urls: bool
    allow_paths: bool
    allow_schemes: frozenset[str]
    confine_to_base_path: bool

    def read(self, source: Any, downloaded: Mapping[str, Entry]) -> bytes:
        """The bytes of one source's file.

        Args:
            source: a URL or path, an ``os.PathLike``, or the bytes themselves.
            downloaded: the entries of all URLs that may be read.

        Raises:
            ImageLoadError: with the source and the true cause.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return bytes(source)
        if isinstance(source, os.PathLike):
            return self._read_path(os.fspath(source))
        if not isinstance(source, str) or not source.strip():
            raise ImageLoadError.of(source, failures.SOURCE_INVALID)
        if is_url(source):
            entry = downloaded.get(source)
            if entry is None:
                raise ImageLoadError.of(
                    source, failures.SCHEME_NOT_ALLOWED, "URLs are not allowed: allow_urls=False"
                )
            if entry.failure is not None:
                raise ImageLoadError.of(source, entry.failure) from _cause_of(entry.failure)
            instead = instead_of_image(entry.body)
            if instead:
                note = f"{instead} instead of an image"
                raise ImageLoadError.of(source, failures.NOT_AN_IMAGE, note) from DownloadFailed(note)
            return entry.body
        if source.startswith("data:"):
            return self._read_data_url(source)
        scheme = _SCHEME.match(source)
        return self._read_fsspec(source, scheme[1].lower()) if scheme else self._read_path(source)

    def _read_data_url(self, source: str) -> bytes:
        from img2dataset.fetching.urls import UrlRefused, decode_data_url

        try:
            return decode_data_url(source, self.max_bytes)
        except UrlRefused as error:
            raise ImageLoadError.of(source, error.failure) from None

    def _read_fsspec(self, source: str, scheme: str) -> bytes:
        for link in (scheme, *_schemes_behind(source)):
            if link not in self.allow_schemes:
                raise ImageLoadError.of(source, failures.of_scheme(link), "allow_schemes")
        try:
            file_system, path = open_path(source)
            with file_system.open(path, "rb") as file:
                body: bytes = file.read(self.max_bytes + 1)
        except Exception as error:
            raise ImageLoadError.of(
                source, failures.FILE_UNREADABLE, f"{type(error).__name__}: {error}"
            ) from error
        return self._checked(body, source)

    def path_of(self, source: str) -> Path:
        """Where the file of a path lies, under the rules of the loader.

        Raises:
            ImageLoadError: it may not be read.
        """
        if not self.allow_paths:
            raise ImageLoadError.of(
                source, failures.SCHEME_NOT_ALLOWED, "local paths are not allowed: allow_paths=False"
            )
        path = Path(source).expanduser()
        if self.base_path is not None:
            path = self.base_path / path
        if self.confine_to_base_path and self.base_path is not None:
            path = path.resolve()
            if not path.is_relative_to(self.base_path.resolve()):
                raise ImageLoadError.of(source, failures.FILE_OUTSIDE, str(self.base_path))
        return path

    def _read_path(self, source: str) -> bytes:
        path = self.path_of(source)
        try:
            # Not blocking, so that a pipe among the images cannot stop the training.
            with open(path, "rb", opener=_open_without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ImageLoadError.of(source, failures.FILE_NOT_REGULAR)
                return self._checked(file.read(self.max_bytes + 1), source)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            joined = "" if str(path) == source else f" ({path})"
            raise ImageLoadError.of(source, failures.FILE_UNREADABLE, f"{reason}{joined}") from error

    def _checked(self, body: bytes, source: str) -> bytes:
        if len(body) > self.max_bytes:
            raise ImageLoadError.of(source, failures.TOO_LARGE_FILE, f"more than {self.max_bytes} bytes")
        return body


def _cause_of(failure: Failure) -> OSError:
    """The exception that says what happened to a download."""
    if failure.kind.failure_class == "timeout":
        return TimeoutError(str(failure))
    if failure.kind.failure_class == "connection":
        return ConnectionError(str(failure))
    return DownloadFailed(str(failure))


def _schemes_behind(source: str) -> Iterator[str]:
    """The further schemes of a chain such as ``zip://a.jpg::/b.zip``, each of which is opened too."""
    for link in source.split("::")[1:]:
        name, is_scheme, _ = link.partition("://")
        yield name.lower() if is_scheme else "file"


def is_url(source: Any) -> bool:
    """Whether ``source`` is an http or https URL."""
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://"))


def located(source: Any) -> Any:
    """What is to be read: the bytes or the path in Hugging Face's ``{"bytes": …, "path": …}``.

    Blanks around a URL, as cells of tables have them, are no part of it.
    """
    if isinstance(source, Mapping):
        embedded = source.get("bytes")
        source = source.get("path") if embedded is None else embedded
    if isinstance(source, str) and is_url(source.strip()):
        return source.strip()
    return source


def flat(value: Any) -> Iterator[Any]:
    """The sources in ``value``, which may be one, or lists of them in lists."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from flat(one)
    else:
        yield value


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
