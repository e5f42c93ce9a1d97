"""Picture and caption in, the model's image, text and tokens out: the last step of every dataset here.

Called by ``datasets``, ``shards`` and ``url_stream``, which give a generator for each sample.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from img2dataset.training.load.captions import CaptionTransform, caption_transform_of
from img2dataset.training.load.image_bytes import decode_image
from img2dataset.training.load.image_pixels import decode_scaled
from img2dataset.training.load.images import ImageTransform, image_transform_of
from img2dataset.training.load.tokenizing import tokenizer_of, tokens_of

ImageTransformLike = Mapping[str, Any] | Callable[..., Any] | None
CaptionTransformLike = Mapping[str, Any] | CaptionTransform | Callable[[str], str] | None
# A callable of a caption, or an object with ``encode``.
TokenizerLike = Any


class SampleTransforms:
    """The three transforms of a dataset, each optional.

    Args:
        img_transform: keyword arguments of ``ImageTransform``, or a callable of a ``PIL.Image.Image``.
        caption_transform: keyword arguments of ``CaptionTransforms``, or a callable of a caption.
        tokenizer: a callable of a caption, or an object with ``encode``.
        seeded: whether callables that draw from PyTorch's generator find it where the sample's seed says.

    Raises:
        OptionError: a transform is none of these.
    """

    def __init__(
        self,
        img_transform: ImageTransformLike,
        caption_transform: CaptionTransformLike,
        tokenizer: TokenizerLike,
        seeded: bool,
    ):
        self.img_transform = image_transform_of(img_transform)
        self.caption_transform = caption_transform_of(caption_transform)
        self.tokenizer = tokenizer_of(tokenizer)
        self.seeded = seeded

    def decode(self, body: bytes, max_pixels: int = 200_000_000) -> Any:
        """What the image transform is given of a file: a picture, RGB; for ``ImageTransform`` scaled pixels.

        Raises:
            DecodeFailed: it is no image, cut short, damaged or too large.
        """
        if isinstance(self.img_transform, ImageTransform):
            return decode_scaled(body, self.img_transform.scaled_size, max_pixels)
        return decode_image(body, "RGB", max_pixels)

    def images_alike(self, pictures: Sequence[Any], generator: random.Random) -> list[Any]:
        """``image`` of several pictures, with the same random choices for all of them.

        Args:
            pictures: what ``decode`` gives.
            generator: as after one picture, afterwards.
        """
        state = generator.getstate()
        made = []
        for picture in pictures:
            generator.setstate(state)
            made.append(self.image(picture, generator, seeded=True))
        return made

    def image(self, picture: Any, generator: random.Random, seeded: bool = False) -> Any:
        """What the transform makes of a picture, or of its pixels where it is ``ImageTransform``.

        Args:
            picture: what ``decode`` gives.
            generator: of the sample's random choices.
            seeded: a callable finds PyTorch's generator where this one says, in any case.
        """
        if self.img_transform is None:
            return picture
        if isinstance(self.img_transform, ImageTransform):
            return self.img_transform(picture, generator)
        if not (self.seeded or seeded):
            return self.img_transform(picture)
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator.getrandbits(63))
            return self.img_transform(picture)

    def text(self, captions: str | list[str], generator: random.Random) -> dict[str, Any]:
        """``caption``, and ``tokens`` if there is a tokenizer; lists of them for a list of captions."""
        transform = self.caption_transform
        texts = [captions] if isinstance(captions, str) else captions
        if transform is not None:
            texts = [transform(text, generator) for text in texts]
        sample: dict[str, Any] = {"caption": texts[0] if isinstance(captions, str) else texts}
        if self.tokenizer is not None:
            tokens = [tokens_of(self.tokenizer, text) for text in texts]
            sample["tokens"] = tokens[0] if isinstance(captions, str) else tokens
        return sample
