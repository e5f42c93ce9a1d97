"""One source string in, one picture out, wherever it lies.

``load_image`` and ``ImageLoader`` are what users call; the datasets use the loader for their rows. Downloads
go through ``downloading`` and, if there is one, the cache; everything else is read by ``sources``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from img2dataset import failures
from img2dataset.errors import OptionError
from img2dataset.training.load.cache import ImageCache
from img2dataset.training.load.cache_entry import Entry
from img2dataset.training.load.downloading import downloader_of
from img2dataset.training.load.image_bytes import MODES, DecodeFailed, converted, decode_image
from img2dataset.training.load.image_pixels import ScaledSize, decode_scaled
from img2dataset.training.load.limits import DownloadLimits
from img2dataset.training.load.operators import Operator
from img2dataset.training.load.sources import ImageLoadError, SourceReader, flat, is_url, located
from img2dataset.training.representation import shown

if TYPE_CHECKING:
    import requests
    from PIL import Image


_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}")


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
        sign_requests: file with a private Ed25519 key, PEM or JWK, that each request is signed with (Web Bot
            Auth); needs ``signature_agent``.
        signature_agent: the https address that publishes its public half.

    Raises:
        OptionError: a value is out of its range, or a file is wrong.
        MissingDependency: ``sign_requests`` without the package that signs.
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
        sign_requests: str | None = None,
        signature_agent: str | None = None,
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
        self.mode = mode
        self.cache = cache if isinstance(cache, ImageCache) or cache is None else ImageCache(cache)
        self.max_pixels = max_pixels
        self.sources = SourceReader(
            base_path=None if base_path is None else Path(base_path).expanduser(),
            max_bytes=max_bytes,
            allow_urls=allow_urls,
            allow_paths=allow_paths,
            allow_schemes=frozenset(allow_schemes),
            confine_to_base_path=confine_to_base_path,
        )
        limits = DownloadLimits(timeout_s, deadline_s, max_bytes, retries, concurrency)
        self._deadline_s = deadline_s
        self._downloader = downloader_of(limits, session, user_agent, sign_requests, signature_agent)

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

    def path(self, source: Any) -> str:
        """A local path of one source's whole file, for readers that take no bytes, such as those of videos.

        Args:
            source: a path, which is given back joined to ``base_path``; or a URL, which is downloaded once to
                a file of the cache that ends as the URL does.

        Raises:
            ImageLoadError: with the source and the true cause.
            OptionError: a URL, and no cache to keep it in.
        """
        source = located(source)
        if isinstance(source, os.PathLike):
            source = os.fspath(source)
        if not isinstance(source, str) or (not is_url(source) and ("://" in source or source[:5] == "data:")):
            raise ImageLoadError.of(source, failures.SOURCE_INVALID, "only these have a local path")
        if is_url(source) and self.cache is None and self.sources.allow_urls:
            raise OptionError("the path of a URL needs a cache to lie in; give ImageLoader(cache=FOLDER)")
        if not is_url(source) or self.cache is None:
            self.read(source)  # raises unless it is a whole file that may be read
            return str(self.sources.path_of(source))
        entries = self._download([source]) if self.sources.allow_urls else {}
        self.sources.read(source, entries)
        ending = os.path.splitext(urlsplit(source).path)[1]
        try:
            file = self.cache.file(entries[source], ending if _ENDING.fullmatch(ending) else "")
        except OSError as error:
            raise ImageLoadError.of(source, failures.FILE_UNREADABLE, str(error)) from error
        return str(file)

    def read_many(self, sources: Sequence[Any]) -> list[bytes | ImageLoadError]:
        """The bytes of each source's file, or its error; downloads are on their way at the same time."""
        sources = [located(source) for source in sources]
        urls = [source for source in sources if self.sources.allow_urls and is_url(source)]
        downloaded = self._download(urls) if urls else {}

        def body_of(source: Any) -> bytes | ImageLoadError:
            try:
                return self.sources.read(source, downloaded)
            except ImageLoadError as error:
                return error

        return [body_of(source) for source in sources]

    def decode(self, body: bytes, source: Any) -> Image.Image:
        """The picture in ``body``, which came from ``source``.

        Raises:
            ImageLoadError: it cannot be decoded.
        """
        try:
            picture: Image.Image = decode_image(body, self.mode, self.max_pixels)
        except DecodeFailed as error:
            raise ImageLoadError.of(source, error.failure, error.note) from error.__cause__
        return picture

    def decode_scaled(self, body: bytes, source: Any, scaled_size: ScaledSize) -> Any:
        """The pixels in ``body`` at ``scaled_size``, RGB whatever the mode, as ``image_pixels`` decodes them.

        Raises:
            ImageLoadError: it cannot be decoded.
        """
        try:
            return decode_scaled(body, scaled_size, self.max_pixels)
        except DecodeFailed as error:
            raise ImageLoadError.of(source, error.failure, error.note) from error.__cause__

    def __repr__(self) -> str:
        return shown(
            self,
            base_path=None if self.sources.base_path is None else str(self.sources.base_path),
            mode=self.mode,
            cache=None if self.cache is None else str(self.cache.folder),
            urls=None if self.sources.allow_urls else "refused",
            paths=None if self.sources.allow_paths else "refused",
        )

    def _download(self, urls: list[str]) -> dict[str, Entry]:
        if self.cache is not None:
            return self.cache.get_many(urls, self._downloader.download, self._deadline_s)
        unique = list(dict.fromkeys(urls))
        entries = self._downloader.download([(url, None) for url in unique])
        return dict(zip(unique, entries, strict=True))


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


def _is_picture(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "size")
