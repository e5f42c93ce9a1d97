"""A sample as it was read from a shard → the sample of a training loop.

Called by ``shards``, ``shard_stream`` and ``tar_stream``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from img2dataset.errors import OptionError
from img2dataset.training.load.finishing import SampleTransforms
from img2dataset.training.load.image_bytes import DecodeFailed
from img2dataset.training.load.sources import ImageLoadError
from img2dataset.training.randomness import generator_of

ImageKind = Literal["pil", "bytes"]


@dataclass(frozen=True, slots=True)
class ReadSample:
    """An image file and what is known of it.

    Attributes:
        body: the bytes of the image.
        metadata: its columns; its caption is one of them.
        index: its number, for random choices.
        source: what it is called in errors.
        others: further entries of the finished sample.
    """

    body: bytes
    metadata: dict[str, Any]
    index: int
    source: str
    others: dict[str, Any] = field(default_factory=dict)


def finished_sample(
    read: ReadSample, image: ImageKind, transforms: SampleTransforms, seed: int | None, epoch: int
) -> dict[str, Any]:
    """The sample of an image and its metadata, transformed.

    Raises:
        ImageLoadError: its image cannot be decoded.
    """
    generator = generator_of(seed, epoch, read.index)
    picture: Any = read.body
    if image == "pil":
        try:
            picture = transforms.decode(read.body)
        except DecodeFailed as error:
            raise ImageLoadError.of(read.source, error.failure, error.note) from error
        picture = transforms.image(picture, generator)
    text = transforms.text(read.metadata.get("caption") or "", generator)
    return {"img": picture, **text, "index": read.index, "metadata": read.metadata, **read.others}


def check_image_kind(image: str, img_transform: Any) -> None:
    """Refuse a wrong ``image`` argument.

    Raises:
        OptionError: it is none, or has no picture for the transform.
    """
    if image not in ("pil", "bytes"):
        raise OptionError(f"image is {image!r}; it takes 'pil' or 'bytes'")
    if image == "bytes" and img_transform is not None:
        raise OptionError("image='bytes' and img_transform exclude each other: a transform needs a picture")
