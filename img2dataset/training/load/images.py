"""Picture in, tensor out: resize, crop, flip, normalise, by plain keyword arguments.

Called by the datasets, which also take any callable of a picture (torchvision's transforms) in its place.
From this one they know the size that is wanted, so that no more is decoded than it shows (``image_pixels``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from img2dataset.errors import OptionError
from img2dataset.training.load.augmentation import (
    ResizedCrop,
    between,
    checked_color_jitter,
    checked_resized_crop,
    checked_rotation,
    grey,
    rotated,
)
from img2dataset.training.load.batch_memory import room
from img2dataset.training.load.captions import built_from, checked_probability
from img2dataset.training.load.image_bytes import Size
from img2dataset.training.load.value_range import checked_normalization
from img2dataset.training.representation import shown

OUTPUTS = ("tensor", "array", "pil")


@dataclass(frozen=True)
class Placement:
    """How a picture is brought to its size: scaled to ``scaled``, then cut from (left, top) to ``size``."""

    scaled: Size
    left: int
    top: int
    size: Size


class ImageTransform:
    """Resize, crop, flip and normalise one picture.

    Args:
        resize: a whole number: the shortest side, pixels; ``[height, width]``: that size, covered and cropped
            if a crop is asked for, else stretched; None: as it is.
        center_crop: True: crop the middle of the resized picture to ``resize``; a number or
            ``[height, width]``: to that size.
        random_crop: the same at a random place.
        random_resized_crop: a random part of the picture, brought to ``resize`` or to the size given here:
            True, a number, ``[height, width]``, or ``{"size": …, "scale": [0.08, 1], "ratio": [0.75, 1.33]}``
            (shares of the area; width by height).
        horizontal_flip, vertical_flip: probability of mirroring.
        rotation: turned by up to so many degrees, or between ``[least, largest]``; corners are black.
        color_jitter: brightness, contrast, saturation and hue, in random order: ``{"brightness": 0.2, "hue":
            0.05}`` (factors from 0.8 to 1.2; turns from −0.05 to 0.05, at most 0.5), each also ``[least,
            largest]``; or up to four numbers in that order; or one for the first three.
        grayscale: probability of losing the colours; there are three channels still.
        normalize: False: values from 0 to 1; True: from −1 to 1; ``[mean, deviation]``, each a number or
            three: (value − mean) / deviation.
        value_range: in place of ``normalize``: what black and white become, such as ``[0, 255]``.
        output: "tensor": float32 of shape (3, height, width), RGB; "array": uint8 of shape (height, width,
            3), not normalised; "pil": a picture, not normalised.

    Raises:
        OptionError: a value is out of its range, or a crop has no size.
    """

    def __init__(
        self,
        *,
        resize: int | Sequence[int] | None = None,
        center_crop: bool | int | Sequence[int] = False,
        random_crop: bool | int | Sequence[int] = False,
        random_resized_crop: bool | int | Sequence[int] | Mapping[str, Any] = False,
        horizontal_flip: float = 0.0,
        vertical_flip: float = 0.0,
        rotation: float | Sequence[float] = 0.0,
        color_jitter: float | Sequence[float] | Mapping[str, Any] | None = None,
        grayscale: float = 0.0,
        normalize: bool | Sequence[Any] = False,
        value_range: Sequence[float] | None = None,
        output: Literal["tensor", "array", "pil"] = "tensor",
    ):
        self._given = {
            "resize": resize,
            "center_crop": center_crop,
            "random_crop": random_crop,
            "random_resized_crop": random_resized_crop,
            "horizontal_flip": horizontal_flip or None,
            "vertical_flip": vertical_flip or None,
            "rotation": rotation or None,
            "color_jitter": color_jitter,
            "grayscale": grayscale or None,
            "normalize": normalize,
            "value_range": value_range,
            "output": None if output == "tensor" else output,
        }
        self.resize = _checked_size("resize", resize)
        crops: dict[str, Any] = {
            "center_crop": center_crop,
            "random_crop": random_crop,
            "random_resized_crop": random_resized_crop,
        }
        asked = [name for name, crop in crops.items() if crop is not False and crop is not None]
        if len(asked) > 1:
            raise OptionError(f"{' and '.join(asked)} are both given; leave out one of them")
        self.random_crop = asked == ["random_crop"]
        self.resized_crop = self._resized_crop(random_resized_crop)
        self.crop: Size | None
        if self.resized_crop is not None:
            self.crop = self.resized_crop.size
        else:
            self.crop = self._crop_size(asked[0], crops[asked[0]]) if asked else None
        self.horizontal_flip = checked_probability("horizontal_flip", horizontal_flip)
        self.vertical_flip = checked_probability("vertical_flip", vertical_flip)
        self.rotation = checked_rotation(rotation)
        self.color_jitter = checked_color_jitter(color_jitter)
        self.grayscale = checked_probability("grayscale", grayscale)
        self.mean, self.deviation = checked_normalization(normalize, value_range)
        if output not in OUTPUTS:
            raise OptionError(f"output is {output!r}; it takes {', '.join(map(repr, OUTPUTS))}")
        self.output = output

    def __call__(self, picture: Any, generator: random.Random | None = None) -> Any:
        """The transformed picture; it may be an array of shape (height, width, 3), uint8, RGB, as well."""
        return self.with_placement(picture, generator)[0]

    def with_placement(self, picture: Any, generator: random.Random | None = None) -> tuple[Any, Placement]:
        """As a call, and how the picture was placed (before mirroring)."""
        chance: Any = generator or random
        pixels = pixels_of(picture)
        size = (pixels.shape[1], pixels.shape[0])
        if self.resized_crop is not None:
            left, top, width, height = self.resized_crop.region(size, chance)
            pixels = pixels[top : top + height, left : left + width]
            placement = _placement_of_part(size, (left, top, width, height), self.resized_crop.size)
            pixels = placed(pixels, Placement(placement.size, 0, 0, placement.size))
        else:
            placement = self.placement(size, chance)
            pixels = placed(pixels, placement)
        return self._finished(self._varied(pixels, chance)), placement

    def _varied(self, pixels: Any, chance: Any) -> Any:
        """What chance changes of pixels that are in their place. What is not asked for draws no number."""
        if self.rotation is not None:
            pixels = rotated(pixels, between(self.rotation, chance))
        if self.horizontal_flip and chance.random() < self.horizontal_flip:
            pixels = pixels[:, ::-1]
        if self.vertical_flip and chance.random() < self.vertical_flip:
            pixels = pixels[::-1]
        if self.color_jitter is not None:
            pixels = self.color_jitter(pixels, chance)
        if self.grayscale and chance.random() < self.grayscale:
            pixels = grey(pixels)
        return pixels

    def placement(self, size: Size, generator: Any = random) -> Placement:
        """Where a picture of ``size`` goes; ``generator`` chooses the place of a random crop."""
        scaled = self.scaled_size(size)
        target = self.crop or scaled
        room = (scaled[0] - target[0], scaled[1] - target[1])
        if not self.random_crop:
            return Placement(scaled, room[0] // 2, room[1] // 2, target)
        # Shares of the room, whatever its size: images of one row get the same place, and take equally many
        # numbers from the generator.
        left, top = (int(generator.random() * (each + 1)) for each in room)
        return Placement(scaled, left, top, target)

    def _resized_crop(self, value: Any) -> ResizedCrop | None:
        if value is False or value is None:
            return None
        given = dict(value) if isinstance(value, Mapping) else {"size": value}
        size = self._crop_size("random_resized_crop", given.pop("size", True))
        assert size is not None
        return checked_resized_crop(size, given)

    def _crop_size(self, name: str, crop: bool | int | Sequence[int]) -> Size | None:
        if crop is False or crop is None:
            return None
        if crop is not True:
            size = _checked_size(name, crop)
        else:
            size = self.resize
        if size is None:
            raise OptionError(f"{name} is True, but resize gives no size; give one of them a size")
        return (size, size) if isinstance(size, int) else size

    def scaled_size(self, size: Size) -> Size:
        """What a picture of ``size`` is scaled to, before it is cropped; of that size again, the same."""
        scaled = size
        if self.resized_crop is not None:
            return size  # the part that is kept is chosen first
        if isinstance(self.resize, int):
            ratio = self.resize / min(size)
            scaled = max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
        elif self.resize is not None:
            scaled = covering(size, self.resize) if self.crop is not None else self.resize
        # A crop larger than the resized picture would need a border; the picture is enlarged to cover it.
        if self.crop is not None and (self.crop[0] > scaled[0] or self.crop[1] > scaled[1]):
            scaled = covering(scaled, self.crop)
        return scaled

    def _finished(self, pixels: Any) -> Any:
        import numpy as np

        if self.output == "array":
            return np.ascontiguousarray(pixels)
        if self.output == "pil":
            from PIL import Image

            return Image.fromarray(np.ascontiguousarray(pixels))
        tensor = room((3, *pixels.shape[:2]))
        # Not by PyTorch, whose threads wait for each other longer than so few numbers take.
        planes = tensor.numpy()
        for channel, (mean, deviation) in enumerate(zip(self.mean, self.deviation, strict=True)):
            np.multiply(pixels[:, :, channel], np.float32(1 / (255 * deviation)), out=planes[channel])
            if mean:
                planes[channel] -= np.float32(mean / deviation)
        return tensor

    def __repr__(self) -> str:
        return shown(self, **self._given)


def image_transform_of(value: Any) -> Callable[..., Any] | None:
    """A transform from what a user gives: None, a callable of one picture, or keyword arguments.

    Raises:
        OptionError: none of these.
    """
    if isinstance(value, Mapping):
        transform: Callable[..., Any] = built_from("img_transform", ImageTransform, value)
        return transform
    if value is None:
        return None
    if callable(value):
        given: Callable[..., Any] = value
        return given
    raise OptionError(f"img_transform is {value!r}; it takes keyword arguments, a callable or None")


def pixels_of(picture: Any) -> Any:
    """The pixels of a picture, or of an array as it is: shape (height, width, 3), uint8, RGB."""
    import numpy as np

    # Pillow copies a picture that is converted to what it is: 0.7 ms at half a megapixel.
    return np.asarray(picture if getattr(picture, "mode", "RGB") == "RGB" else picture.convert("RGB"))


def covering(size: Size, target: Size) -> Size:
    """The smallest size with the aspect ratio of ``size`` that covers ``target``."""
    ratio = max(target[0] / size[0], target[1] / size[1])
    return max(target[0], round(size[0] * ratio)), max(target[1], round(size[1] * ratio))


def placed(pixels: Any, placement: Placement) -> Any:
    """The pixels scaled and cropped as ``placement`` says; only the part that is kept is worked on."""
    if (pixels.shape[1], pixels.shape[0]) != placement.scaled:
        from img2dataset.imaging.at_size import resized

        pixels = resized(pixels, placement.scaled)
    left, top, (width, height) = placement.left, placement.top, placement.size
    return pixels[top : top + height, left : left + width]


def _checked_size(name: str, value: Any) -> int | Size | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(one, int) and one >= 1 for one in value)
    ):
        return int(value[1]), int(value[0])  # given as [height, width], kept as width, height
    raise OptionError(f"{name} is {value!r}; it takes pixels, as a whole number or [height, width]")


def _placement_of_part(size: Size, part: tuple[int, int, int, int], target: Size) -> Placement:
    """The placement of a part that is brought to ``target``: the whole picture scaled as the part is."""
    left, top, width, height = part
    ratios = target[0] / width, target[1] / height
    scaled = max(target[0], round(size[0] * ratios[0])), max(target[1], round(size[1] * ratios[1]))
    return Placement(scaled, round(left * ratios[0]), round(top * ratios[1]), target)
