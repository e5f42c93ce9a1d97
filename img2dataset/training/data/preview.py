"""A look at a dataset: samples as training sees them, with their captions, on one sheet.

``preview(dataset)`` returns a ``PIL.Image.Image``, which a notebook shows by itself and
``.save("sheet.png")`` writes.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

from img2dataset.errors import OptionError

CAPTION_LINES = 3


def preview(dataset: Any, n: int = 16, *, columns: int = 4, size: int = 224, seed: int | None = None) -> Any:
    """A contact sheet of transformed samples and captions.

    Args:
        dataset: map-style or iterable, of dictionaries with ``img`` and ``caption``.
        n: how many samples; fewer if there are not so many.
        columns: pictures in a row.
        size: longest side of a picture on the sheet, pixels.
        seed: choose the samples at random, by this seed; None: the first ones.

    Returns:
        A ``PIL.Image.Image``, RGB.

    Raises:
        OptionError: a number below 1, or the dataset gives no sample.
    """
    for name, value in (("n", n), ("columns", columns), ("size", size)):
        if value < 1:
            raise OptionError(f"{name} is {value!r}; it takes a whole number from 1")
    samples = _chosen(dataset, n, seed)
    if not samples:
        raise OptionError("the dataset gives no sample to look at")
    from img2dataset.imaging.contact_sheet import contact_sheet

    return contact_sheet(
        [(_picture(sample), _text(sample)) for sample in samples], columns, size, CAPTION_LINES
    )


def _picture(sample: Any) -> Any:
    image = sample["img"]
    return as_picture(image[0] if isinstance(image, (list, tuple)) else image)


def _text(sample: Any) -> str:
    captions = sample.get("caption") or ""
    text = captions if isinstance(captions, str) else " | ".join(captions)
    return " ".join(text.split())


def as_picture(image: Any) -> Any:
    """Any image of a sample as ``PIL.Image.Image``, RGB.

    Tensors of shape (3, height, width) may be uint8, float from 0 to 1, from −1 to 1, from 0 to 255, or
    normalised otherwise: then their range is spread over black to white.
    """
    import numpy as np
    from PIL import Image

    if hasattr(image, "convert"):
        return image.convert("RGB")
    if hasattr(image, "detach"):
        image = image.detach().cpu().float().numpy() if image.is_floating_point() else image.cpu().numpy()
    if isinstance(image, (bytes, bytearray)):
        from img2dataset.training.load.image_bytes import decode_image

        return decode_image(image)
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.shape[0] in (1, 3, 4) and pixels.shape[-1] not in (3, 4):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        if low >= 0 and 1.001 < high < 255.001:
            pixels = pixels / 255
        elif low < -1.001 or high > 1.001:
            pixels = (pixels - low) / max(high - low, 1e-6)
        elif low < 0:
            pixels = (pixels + 1) / 2
        pixels = (pixels * 255).round().clip(0, 255).astype(np.uint8)
    pixels = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels.repeat(3, axis=2)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _chosen(dataset: Any, n: int, seed: int | None) -> list[Any]:
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        return list(islice(iter(dataset), n))
    indices = range(len(dataset))
    chosen = indices[:n] if seed is None else random.Random(seed).sample(indices, min(n, len(indices)))
    return [sample for sample in (dataset[index] for index in chosen) if sample is not None]
