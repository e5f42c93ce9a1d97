"""The loader of a dataset: what a user gives comes in, an ``ImageLoader`` goes out. The datasets call it."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from img2dataset.errors import OptionError
from img2dataset.training.data.lists import list_folder
from img2dataset.training.load.captions import built_from
from img2dataset.training.load.loading import ImageLoader

if TYPE_CHECKING:
    from img2dataset.training.load.cache import ImageCache

LoaderLike = ImageLoader | Mapping[str, Any] | None


def loader_of(
    loader: LoaderLike,
    source: Any,
    base_path: str | os.PathLike[str] | None,
    cache: str | os.PathLike[str] | ImageCache | None,
) -> ImageLoader:
    """The loader for the images of a list.

    Args:
        loader: an ``ImageLoader``, or keyword arguments of it.
        source: the list; its folder is what relative paths are joined to, where nothing else says so.
        base_path, cache: short for those of the loader.

    Raises:
        OptionError: it is none of these, or something is given twice.
    """
    short = {name: value for name, value in (("base_path", base_path), ("cache", cache)) if value is not None}
    if isinstance(loader, ImageLoader):
        for name in short:
            raise OptionError(
                f"{name} and an ImageLoader are both given; give loader=ImageLoader({name}=…), or no loader"
            )
        folder = list_folder(source)
        if folder is None or loader.sources.base_path is not None:
            return loader
        joined = copy.copy(loader)
        joined.sources = dataclasses.replace(loader.sources, base_path=Path(folder))
        return joined
    if loader is not None and not isinstance(loader, Mapping):
        raise OptionError(f"loader is {loader!r}; it takes an ImageLoader, or a dictionary of its arguments")
    arguments = dict(loader or {})
    for name in short:
        if name in arguments:
            raise OptionError(f"{name} is given twice, alone and in loader; leave out one of them")
    arguments = {"base_path": list_folder(source)} | arguments | short
    made: ImageLoader = built_from("loader", ImageLoader, arguments)
    return made
