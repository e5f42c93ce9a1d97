"""COCO's captions, one json document of ``images`` and ``annotations``, in; rows out.

Called by ``list_files``. The layout: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import codecs
import gzip
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from img2dataset.counted import counted
from img2dataset.errors import InputError
from img2dataset.reading import read_text

logger = logging.getLogger("img2dataset")


def coco_rows(path: str, list_format: str) -> Iterator[dict[str, Any]] | None:
    """A row an image: what the document says of it, and ``captions``, a list; None: it is no such document.

    Args:
        path: of a json list.
        list_format: "json" or "json.gz".

    Raises:
        InputError: it cannot be read; its annotations are no captions; or an image has no ``id``.
    """
    if not _begins_with_an_object(path):
        return None
    text = read_text(path, list_format)
    if '"annotations"' not in text or '"images"' not in text:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None  # the reading room says what is wrong
    images, annotations = document.get("images"), document.get("annotations")
    if not _are_objects(images) or not _are_objects(annotations):
        return None
    if not any("image_id" in annotation for annotation in annotations):
        return None
    return _rows(images, annotations, path)


def _rows(images: list[Any], annotations: list[Any], path: str) -> Iterator[dict[str, Any]]:
    captions: dict[Any, list[str]] = {}
    for annotation in annotations:
        if isinstance(annotation.get("caption"), str):
            image_id = annotation.get("image_id")
            of_image = captions.setdefault(image_id if _is_id(image_id) else None, [])
            of_image.append(annotation["caption"].strip())
    if not captions:
        raise InputError(
            f"the annotations of {path} have no captions, but {', '.join(annotations[0])}; give the file of"
            " captions (captions_*.json)"
        )
    ids = [image.get("id") for image in images]
    if not all(map(_is_id, ids)) or len(set(ids)) < len(ids):
        raise InputError(f"the images of {path} do not each have an id of their own, a number or a text")
    if unknown := captions.keys() - set(ids):
        logger.warning(
            "%s of %s belong to no image, such as that with the image_id %r",
            counted(sum(len(captions[each]) for each in unknown), "caption"),
            path,
            min(unknown, key=str),
        )
    return ({**image, "captions": captions.get(image["id"], [])} for image in images)


def _begins_with_an_object(path: str) -> bool:
    try:
        with gzip.open(path) if path.lower().endswith(".gz") else open(path, "rb") as file:
            begin = file.read(4096)
    except (OSError, EOFError):
        return False  # the reading room says what is wrong
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        begin = begin.removeprefix(mark)
    return begin.lstrip(b" \t\r\n\0")[:1] == b"{"  # UTF-16 has zeros


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, float, str))


def _are_objects(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(each, Mapping) for each in values)
