"""Captions for the images of a folder that have none: a folder and a user's model come in, ``metadata.jsonl``
goes out.

What the model says is noted after each batch, in a folder of its own beside the images, so that a stopped run
goes on. ``metadata.jsonl`` is put in its place whole, once all is done. Called by ``caption_command``.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, InputError, OptionError
from img2dataset.reading.columns import without_surrogates
from img2dataset.storage.locks import LockBusy, alone_in
from img2dataset.training.data.caption_files import noted, refuse_to_rewrite, write_metadata
from img2dataset.training.data.columns import first_usual
from img2dataset.training.data.image_folder import images_of_folder, rows_of_folder, split_folder
from img2dataset.training.load.loading import ImageLoader
from img2dataset.training.load.sources import ImageLoadError, flat

METADATA = "metadata.jsonl"
# Beside the images while captions are made: what was made so far.
WORK_FOLDER = ".captioning"
NOTES = "captions.jsonl"

Captioner = Callable[[list[Any]], Sequence[str]]


@dataclass
class Captioned:
    """What became of the images of a folder.

    Args:
        images: how many there are.
        had: had a caption before.
        resumed: were captioned by an earlier run that was stopped.
        made: were captioned now.
        failed: could not be: paths, and why.
    """

    images: int = 0
    had: int = 0
    resumed: int = 0
    made: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def caption_folder(
    folder: str | os.PathLike[str],
    captioner: Captioner,
    *,
    name: str | None = None,
    column: str | None = None,
    batch_size: int = 8,
    progress: Callable[[Captioned], None] | None = None,
) -> Captioned:
    """Caption every image of a folder that has no caption, and keep all captions in its ``metadata.jsonl``.

    Args:
        folder: of images, with captions in ``.txt`` files or in a metadata file, as ``ImageTextDataset``
            reads it.
        captioner: called with a list of pictures (``PIL.Image.Image``, RGB, upright); returns a list of as
            many texts.
        name: of the captioner: what a stopped run of another one has made is not taken. None: as it is called
            in its module.
        column: of the captions; None: the one that the metadata has, or "caption".
        batch_size: pictures at once.
        progress: called after each batch.

    Raises:
        InputError: there is no folder, or no image in it.
        OptionError: a value is out of its range.
        Img2datasetError: the captioner failed, or another run is at work in the folder. What was made is
            kept, and the same call goes on.
    """
    if batch_size < 1:
        raise OptionError(f"batch_size is {batch_size!r}; it takes a whole number from 1")
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise InputError(f"{str(folder)!r} is not a folder on this machine; give a folder of images")
    called = name or f"{captioner.__module__}:{getattr(captioner, '__qualname__', type(captioner).__name__)}"
    try:
        with alone_in(str(path / WORK_FOLDER), 0):
            return _captioned(path, captioner, called, column, batch_size, progress)
    except LockBusy:
        raise Img2datasetError(
            f"another run is captioning {str(folder)!r}; wait until it has ended"
        ) from None
    except OSError as error:
        raise Img2datasetError(f"captions cannot be kept in {str(folder)!r}: {error}") from error


def _captioned(
    folder: Path,
    captioner: Captioner,
    name: str,
    column: str | None,
    batch_size: int,
    progress: Callable[[Captioned], None] | None,
) -> Captioned:
    found, column = _rows(folder, column)
    rows = [row for row in found if not _is_path(row.get("image")) or _is_utf8(row["image"])]
    without = [(number, row) for number, row in enumerate(rows) if not _has_text(row.get(column))]
    missing = list(dict.fromkeys(row["image"] for _, row in without if _is_path(row.get("image"))))
    result = Captioned(images=len(found), had=len(rows) - len(without))
    for row in found:
        if _is_path(row.get("image")) and not _is_utf8(row["image"]):
            result.failed[row["image"]] = f"its name is not UTF-8, as {METADATA} is; rename it"
    for number, row in without:
        if not _is_path(row.get("image")):
            result.failed[f"row {number}"] = "it has several images, or none"
    if not missing:
        return result
    refuse_to_rewrite(folder / METADATA)
    notes = folder / WORK_FOLDER / NOTES
    captions = {image: text for image, text in noted(notes, name).items() if image in set(missing)}
    result.resumed = len(captions)
    left = [image for image in missing if image not in captions]
    with open(notes, "a", encoding="utf-8") as file:
        for made in _made(left, captioner, name, ImageLoader(folder), batch_size, result):
            captions |= made
            file.writelines(
                json.dumps({"captioner": name, "image": image, "caption": text}) + "\n"
                for image, text in made.items()
            )
            file.flush()
            result.made += len(made)
            if progress is not None:
                progress(result)
    for _, row in without:
        if _is_path(row.get("image")) and row["image"] in captions:
            row[column] = captions[row["image"]]
    if captions:
        write_metadata(folder / METADATA, rows, folder / WORK_FOLDER / f"{METADATA}.tmp")
    notes.unlink()
    return result


def _rows(folder: Path, column: str | None) -> tuple[list[dict[str, Any]], str]:
    """The rows of the folder's metadata, with those of images that it does not have yet; and the column of
    their captions.
    """
    if split := split_folder(folder, None):
        raise InputError(
            f"{str(folder)!r} is divided into splits, of which {split!r} would be read alone; caption each of"
            f" them: {str(folder / split)!r}"
        )
    listed = rows_of_folder(folder, repeats=False, wants_captions=False)
    names = {first_usual("image", listed.columns): "image"}
    rows = [
        {names.get(name, name): value for name, value in listed.row(index).items()}
        for index in range(len(listed))
    ]
    column = column or first_usual("caption", listed.columns) or "caption"
    known = {os.path.normpath(image) for row in rows for image in flat(row.get("image")) if _is_path(image)}
    rows.extend(
        {"image": image, column: caption}
        for image, caption in images_of_folder(folder)
        if os.path.normpath(image) not in known
    )
    return rows, column


def _made(
    images: list[str],
    captioner: Captioner,
    name: str,
    loader: ImageLoader,
    batch_size: int,
    result: Captioned,
) -> Iterator[dict[str, str]]:
    """Captions by image, a batch at a time; what cannot be captioned is told in ``result``."""
    for start in range(0, len(images), batch_size):
        pictures: dict[str, Any] = {}
        part = images[start : start + batch_size]
        for image, picture in zip(part, loader.load_many(part), strict=True):
            if isinstance(picture, ImageLoadError):
                result.failed[image] = str(picture.reason)
            else:
                pictures[image] = picture
        made: dict[str, str] = {}
        texts = _texts(captioner, name, pictures) if pictures else []
        for image, text in zip(pictures, texts, strict=True):
            text = without_surrogates(text).strip()
            if text:
                made[image] = text
            else:
                result.failed[image] = "the captioner returned an empty text"
        yield made


def _texts(captioner: Captioner, name: str, pictures: Mapping[str, Any]) -> list[str]:
    first = next(iter(pictures))
    kept = "; what was made before is kept, and the same command goes on there"
    try:
        texts = captioner(list(pictures.values()))
        # Sets and dictionaries have no order, or another one.
        is_list = hasattr(texts, "__iter__") and not isinstance(texts, (str, bytes, Set, Mapping))
        found = list(texts) if is_list else None
    except (Exception, SystemExit) as error:  # the user's own, of any class
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}, line {place.lineno}"
        raise Img2datasetError(
            f"the captioner {name} failed on {counted(len(pictures), 'image')} from {first!r} on:"
            f" {type(error).__name__}: {' '.join(str(error).split())} ({where}){kept}"
        ) from error
    if found is None or len(found) != len(pictures) or not all(isinstance(text, str) for text in found):
        returned = f"a {type(texts).__name__}" if found is None else f"{found!r:.80}"
        raise Img2datasetError(
            f"the captioner {name} returned {returned} for {counted(len(pictures), 'image')}; it is called"
            f" with a list of pictures and returns a list of as many texts{kept}"
        )
    return found


def _is_path(image: Any) -> bool:
    return isinstance(image, str) and bool(image)


def _is_utf8(text: str) -> bool:
    # The name of a file may have other bytes.
    return without_surrogates(text) == text


def _has_text(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_has_text(each) for each in value)
    return value is not None and bool(str(value).strip())
