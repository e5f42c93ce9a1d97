"""One source string in, one picture out, wherever it lies.

``load_image`` and ``ImageLoader`` are what users call; the datasets use the loader for their rows. Sources:
``http(s)://`` URLs, ``data:`` URLs, absolute paths, paths relative to ``base_path``, and, where allowed, any
file system of fsspec. Downloads go through ``downloading`` and, if there is one, the cache.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.training.cache import ImageCache
from img2dataset.training.cache_entry import Entry
from img2dataset.training.downloading import Downloader, DownloadLimits, EngineDownloader, SessionDownloader
from img2dataset.training.image_bytes import MODES, DecodeFailed, NeededSize, converted, decode_image
from img2dataset.training.operators import Operator
from img2dataset.training.requirements import require

if TYPE_CHECKING:
    import requests
    from PIL import Image

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
SHOWN_SOURCE_CHARACTERS = 200


class ImageLoadError(Img2datasetError):
    """A source cannot be loaded.

    ``source`` is the URL or path, as given; ``reason`` why, in the small language of failures. The exception
    that caused it, if any, is its ``__cause__``.
    """

    def __init__(self, message: str, source: str = "", reason: str = ""):
        super().__init__(message)
        self.source = source
        self.reason = reason

    @classmethod
    def of(cls, source: Any, reason: str) -> ImageLoadError:
        """The error for ``source``, shown in at most 200 characters (``data:`` URLs are long)."""
        text = source if isinstance(source, str) else repr(source)
        shown = text if len(text) <= SHOWN_SOURCE_CHARACTERS else text[: SHOWN_SOURCE_CHARACTERS - 3] + "..."
        return cls(f"{shown}: {reason}", text, reason)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.source, self.reason)


class ImageLoader(Operator):
    """Loads images from source strings: ``loader("https://…/a.jpg")``, ``loader(["b.png", "/c.png"])``.

    Callable, picklable, safe to use in forked workers and from threads, and a step of a pipeline
    (``loader >> transform``).

    Args:
        base_path: folder that relative paths are joined to. URLs and absolute paths never are.
        mode: "RGB" (transparent pixels on white), "RGBA", "L" or None: as the file has it.
        cache: a folder, or an ``ImageCache``, for downloaded bodies; None: every load downloads.
        timeout_s: seconds; bounds connecting and every silence.
        deadline_s: seconds; bounds one whole download, redirects included.
        retries: tries after the first, for failures that can pass.
        max_bytes: largest file or body, bytes, after its compression is undone.
        max_pixels: largest image, pixels, refused from its header.
        allow_urls: whether http(s) URLs are loaded at all.
        allow_paths: whether local paths are loaded at all.
        allow_schemes: fsspec schemes that may be loaded, for example ``("s3", "gs")``.
        confine_to_base_path: refuse paths that lead out of ``base_path``: for lists that are not trusted.
        session: a ``requests.Session`` to download with: authentication, proxies, internal services.
        user_agent: the whole User-Agent header; None: img2dataset, its version and its address.
        concurrency: downloads at once in ``load_many``.

    Raises:
        OptionError: a value is out of its range.
    """

    def __init__(
        self,
        base_path: str | os.PathLike[str] | None = None,
        *,
        mode: Literal["RGB", "RGBA", "L"] | None = "RGB",
        cache: str | os.PathLike[str] | ImageCache | None = None,
        timeout_s: float = 10.0,
        deadline_s: float = 60.0,
        retries: int = 2,
        max_bytes: int = 100_000_000,
        max_pixels: int = 200_000_000,
        allow_urls: bool = True,
        allow_paths: bool = True,
        allow_schemes: Collection[str] = (),
        confine_to_base_path: bool = False,
        session: requests.Session | None = None,
        user_agent: str | None = None,
        concurrency: int = 32,
    ):
        if mode is not None and mode not in MODES:
            raise OptionError(f"mode is {mode!r}; it takes {', '.join(map(repr, MODES))} or None")
        for name, value in (("timeout_s", timeout_s), ("deadline_s", deadline_s), ("max_bytes", max_bytes)):
            if not value > 0:
                raise OptionError(f"{name} is {value!r}; it must be above 0")
        if confine_to_base_path and base_path is None:
            raise OptionError(
                "confine_to_base_path needs a base_path; give the folder that paths must stay in"
            )
        self.base_path = None if base_path is None else Path(base_path).expanduser()
        self.mode = mode
        self.cache = cache if isinstance(cache, ImageCache) or cache is None else ImageCache(cache)
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self.allow_urls = allow_urls
        self.allow_paths = allow_paths
        self.allow_schemes = frozenset(allow_schemes)
        self.confine_to_base_path = confine_to_base_path
        limits = DownloadLimits(timeout_s, deadline_s, max_bytes, retries, concurrency)
        self._downloader = _downloader(limits, session, user_agent, self.cache)

    def __call__(self, value: Any) -> Any:
        """Load ``value``: a source gives a picture; a list or tuple gives a list; None gives None.

        Also takes pictures, bytes of image files, and the ``{"bytes": …, "path": …}`` of Hugging Face.

        Returns:
            ``PIL.Image.Image`` in ``mode``, upright; or a list of them.

        Raises:
            ImageLoadError: with the source and the true cause.
        """
        leaves = [leaf for leaf in flat(value) if leaf is not None and not _is_picture(leaf)]
        bodies = iter(self.read_many(leaves))

        def picture_of(source: Any) -> Any:
            if isinstance(source, (list, tuple)):
                return [picture_of(one) for one in source]
            if source is None:
                return None
            if _is_picture(source):
                return converted(source, self.mode)
            body = next(bodies)
            if isinstance(body, ImageLoadError):
                raise body
            return self.decode(body, source)

        return picture_of(value)

    def load_many(self, sources: Sequence[Any]) -> list[Image.Image | ImageLoadError]:
        """Load several sources, their downloads at the same time; a failure stands in its source's place."""
        bodies = self.read_many(sources)

        def picture_of(source: Any, body: bytes | ImageLoadError) -> Image.Image | ImageLoadError:
            try:
                return body if isinstance(body, ImageLoadError) else self.decode(body, source)
            except ImageLoadError as error:
                return error

        return [picture_of(*one) for one in zip(sources, bodies, strict=True)]

    def read(self, source: Any) -> bytes:
        """The bytes of one source's file.

        Raises:
            ImageLoadError: with the source and the true cause.
        """
        body = self.read_many([source])[0]
        if isinstance(body, ImageLoadError):
            raise body
        return body

    def read_many(self, sources: Sequence[Any]) -> list[bytes | ImageLoadError]:
        """The bytes of each source's file, or its error; downloads are on their way at the same time."""
        urls = [source for source in sources if self.allow_urls and is_url(source)]
        downloaded = self._download(urls) if urls else {}

        def body_of(source: Any) -> bytes | ImageLoadError:
            try:
                return self._body(source, downloaded)
            except ImageLoadError as error:
                return error

        return [body_of(source) for source in sources]

    def decode(self, body: bytes, source: Any, needed_size: NeededSize | None = None) -> Image.Image:
        """The picture in ``body``, which came from ``source``; ``needed_size`` as in ``decode_image``.

        Raises:
            ImageLoadError: it cannot be decoded.
        """
        try:
            picture: Image.Image = decode_image(body, self.mode, self.max_pixels, needed_size)
        except DecodeFailed as error:
            raise ImageLoadError.of(source, str(error)) from error.__cause__
        return picture

    def _download(self, urls: list[str]) -> dict[str, Entry]:
        if self.cache is not None:
            return self.cache.get_many(urls, self._downloader.download)
        unique = list(dict.fromkeys(urls))
        entries = self._downloader.download([(url, None) for url in unique])
        return dict(zip(unique, entries, strict=True))

    def _body(self, source: Any, downloaded: Mapping[str, Entry]) -> bytes:
        if isinstance(source, (bytes, bytearray, memoryview)):
            return bytes(source)
        if isinstance(source, Mapping):
            embedded = source.get("bytes")
            return bytes(embedded) if embedded is not None else self.read(source.get("path"))
        if isinstance(source, os.PathLike):
            return self._read_path(os.fspath(source))
        if not isinstance(source, str) or not source.strip():
            raise ImageLoadError.of(source, "invalid source: not a URL or path")
        if is_url(source):
            entry = downloaded.get(source)
            if entry is None:
                raise ImageLoadError.of(source, "scheme: URLs are not allowed (allow_urls=False)")
            if entry.failure is not None:
                raise ImageLoadError.of(source, entry.failure)
            return entry.body
        if source.startswith("data:"):
            return self._read_data_url(source)
        scheme = _SCHEME.match(source)
        return self._read_fsspec(source, scheme[1].lower()) if scheme else self._read_path(source)

    def _read_data_url(self, source: str) -> bytes:
        from img2dataset.fetching.inline import decode_data_url
        from img2dataset.fetching.urls import UrlRefused

        try:
            return decode_data_url(source, self.max_bytes)
        except UrlRefused as error:
            raise ImageLoadError.of(source, str(error)) from None

    def _read_fsspec(self, source: str, scheme: str) -> bytes:
        if scheme not in self.allow_schemes:
            raise ImageLoadError.of(source, f"scheme: {scheme} not allowed (allow_schemes)")
        import fsspec

        try:
            with fsspec.open(source, "rb") as file:
                body: bytes = file.read(self.max_bytes + 1)
        except Exception as error:
            raise ImageLoadError.of(source, f"file: {type(error).__name__}: {error}") from error
        return self._checked(body, source)

    def _read_path(self, source: str) -> bytes:
        if not self.allow_paths:
            raise ImageLoadError.of(source, "scheme: local paths are not allowed (allow_paths=False)")
        path = Path(source).expanduser()
        if self.base_path is not None:
            path = self.base_path / path
        if self.confine_to_base_path and self.base_path is not None:
            path = path.resolve()
            if not path.is_relative_to(self.base_path.resolve()):
                raise ImageLoadError.of(source, f"file: outside of {self.base_path}")
        try:
            # Not blocking, so that a pipe among the images cannot stop the training.
            with open(path, "rb", opener=_open_without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ImageLoadError.of(source, "file: not a regular file")
                return self._checked(file.read(self.max_bytes + 1), source)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            place = "" if str(path) == source else f" ({path})"
            raise ImageLoadError.of(source, f"file: {reason}{place}") from error

    def _checked(self, body: bytes, source: str) -> bytes:
        if len(body) > self.max_bytes:
            raise ImageLoadError.of(source, f"too large: file (more than {self.max_bytes} bytes)")
        return body


def load_image(source: Any, base_path: str | os.PathLike[str] | None = None, **options: Any) -> Any:
    """Load one source, or a list of them, as ``ImageLoader(base_path, **options)(source)`` does.

    Plain downloads of one process share one ``ImageLoader`` for each set of options, and its connections.
    """
    key = (base_path, *sorted((name, id(value), repr(value)) for name, value in options.items()))
    loader = _loaders.get(key)
    if loader is None:
        if len(_loaders) >= 16:
            _loaders.clear()
        # The options are kept as well, so that the identities in the key stay theirs.
        loader = _loaders[key] = (ImageLoader(base_path, **options), options)
    return loader[0](source)


_loaders: dict[Any, tuple[ImageLoader, Any]] = {}


def is_url(source: Any) -> bool:
    """Whether ``source`` is an http or https URL."""
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://"))


def flat(value: Any) -> Iterator[Any]:
    """The sources in ``value``, which may be one, or lists of them in lists."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from flat(one)
    else:
        yield value


def _is_picture(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "size")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _downloader(
    limits: DownloadLimits, session: requests.Session | None, user_agent: str | None, cache: ImageCache | None
) -> Downloader:
    from img2dataset.fetching import FetchSettings

    settings = FetchSettings(
        concurrency=limits.concurrency,
        timeout_s=limits.timeout_s,
        deadline_s=limits.deadline_s,
        max_body_bytes=limits.max_bytes,
        body_budget_bytes=max(limits.max_bytes, 64 << 20),
        retries=limits.retries,
        user_agent=user_agent,
    )
    if session is not None:
        return SessionDownloader(session, limits, {"User-Agent": user_agent} if user_agent else {})
    if cache is not None and cache.revalidate_after_s is not None:
        requests = require("requests", "asking whether a cached image has changed")
        return SessionDownloader(requests.Session(), limits, {"User-Agent": settings.user_agent_header})
    return EngineDownloader(settings)
