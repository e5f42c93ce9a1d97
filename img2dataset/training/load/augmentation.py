"""Random changes of a picture's place and colours: pixels and drawn numbers come in, pixels go out.

Called by ``images``. Each takes as many numbers from the generator whatever the picture, so that the images
of one row get the same ones. Pixels are arrays of shape (height, width, 3), uint8, RGB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import OptionError

Range = tuple[float, float]

# Of the three colours, how bright they look (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class ResizedCrop:
    """A part of a picture, of random size and shape, that is brought to ``size`` (Szegedy et al. 2015).

    Args:
        size: width and height, pixels.
        scale: least and largest share of the picture's area.
        ratio: least and largest width by height of the part.
    """

    size: tuple[int, int]
    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)

    def region(self, size: tuple[int, int], generator: Any) -> tuple[int, int, int, int]:
        """Left, top, width and height of the part, in pixels of a picture of ``size``.

        What would be wider or higher than the picture ends at its sides; nothing is drawn again.
        """
        area = size[0] * size[1] * between(self.scale, generator)
        ratio = math.exp(between((math.log(self.ratio[0]), math.log(self.ratio[1])), generator))
        width = min(size[0], max(1, round(math.sqrt(area * ratio))))
        height = min(size[1], max(1, round(math.sqrt(area / ratio))))
        left = int(generator.random() * (size[0] - width + 1))
        top = int(generator.random() * (size[1] - height + 1))
        return left, top, width, height


@dataclass(frozen=True)
class ColorJitter:
    """Random brightness, contrast, saturation (ranges of factors) and hue (of turns), in random order."""

    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    saturation: Range = (1.0, 1.0)
    hue: Range = (0.0, 0.0)

    def __call__(self, pixels: Any, generator: Any) -> Any:
        """The changed pixels."""
        import numpy as np

        steps = [(name, between(getattr(self, name), generator)) for name in _CHANGES]
        generator.shuffle(steps)
        values = pixels.astype(np.float32)
        for name, amount in steps:
            if amount != (0.0 if name == "hue" else 1.0):
                values = _CHANGES[name](values, amount).clip(0, 255)
        return values.round().astype(np.uint8)


def _brighter(values: Any, factor: float) -> Any:
    return values * factor


def _with_contrast(values: Any, factor: float) -> Any:
    mean = _luma(values).mean()
    return mean + (values - mean) * factor


def _saturated(values: Any, factor: float) -> Any:
    grey = _luma(values)[:, :, None]
    return grey + (values - grey) * factor


def _turned(values: Any, turns: float) -> Any:
    import cv2

    colours = cv2.cvtColor(values / 255, cv2.COLOR_RGB2HSV)  # hue in degrees
    colours[:, :, 0] = (colours[:, :, 0] + 360 * turns) % 360
    return cv2.cvtColor(colours, cv2.COLOR_HSV2RGB) * 255


_CHANGES = {"brightness": _brighter, "contrast": _with_contrast, "saturation": _saturated, "hue": _turned}


def grey(pixels: Any) -> Any:
    """Without colours, in three equal channels."""
    import numpy as np

    return _luma(pixels.astype(np.float32)).round().astype(np.uint8)[:, :, None].repeat(3, axis=2)


def rotated(pixels: Any, degrees: float) -> Any:
    """Turned counter-clockwise around its middle, of the same size; corners that come in are black."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(np.ascontiguousarray(pixels), matrix, (width, height), flags=cv2.INTER_LINEAR)


def between(limits: Range, generator: Any) -> float:
    """A number drawn evenly from a range."""
    share: float = generator.random()
    return limits[0] + (limits[1] - limits[0]) * share


def checked_resized_crop(size: tuple[int, int], ranges: Mapping[str, Any]) -> ResizedCrop:
    """A random part for ``size``, with ``scale`` and ``ratio`` as they are given.

    Raises:
        OptionError: a range is none, or has another name.
    """
    for name, limits in ranges.items():
        is_right = is_range(limits, 0, 1 if name == "scale" else math.inf) and limits[0] > 0
        if name not in ("scale", "ratio") or not is_right:
            raise OptionError(
                f"random_resized_crop has {name}={limits!r}; it takes size, scale (shares of the area, to 1)"
                " and ratio (width by height), the latter two as [least, largest] above 0"
            )
    return ResizedCrop(
        size, **{name: (float(limits[0]), float(limits[1])) for name, limits in ranges.items()}
    )


def checked_color_jitter(value: Any) -> ColorJitter | None:
    """Colour jitter from a number (brightness, contrast and saturation), several, or by name.

    Raises:
        OptionError: none of these.
    """
    if value is None or value is False:
        return None
    names = tuple(_CHANGES)
    if _is_number(value):
        value = [value] * 3
    if isinstance(value, Sequence) and not isinstance(value, str) and 1 <= len(value) <= len(names):
        value = dict(zip(names, value, strict=False))
    if not isinstance(value, Mapping) or not set(value) <= set(names):
        raise OptionError(
            f"color_jitter is {value!r}; it takes a number, up to four of them, or a dictionary of"
            f" {', '.join(names)}"
        )
    return ColorJitter(**{name: _jitter_range(name, amount) for name, amount in value.items()})


def _jitter_range(name: str, amount: Any) -> Range:
    middle, least, largest = (0.0, -0.5, 0.5) if name == "hue" else (1.0, 0.0, math.inf)
    if _is_number(amount) and 0 <= amount <= largest:
        return max(least, middle - amount), middle + amount
    if is_range(amount, least, largest):
        return float(amount[0]), float(amount[1])
    told = "a number from 0 to 0.5" if name == "hue" else "a number from 0"
    raise OptionError(f"{name} of color_jitter is {amount!r}; it takes {told}, or [least, largest]")


def checked_rotation(value: Any) -> Range | None:
    """The range of degrees, from one number (to both sides) or [least, largest].

    Raises:
        OptionError: neither.
    """
    if value is None or value is False or value == 0:
        return None
    if _is_number(value) and value > 0:
        return -float(value), float(value)
    if is_range(value):
        return float(value[0]), float(value[1])
    raise OptionError(f"rotation is {value!r}; it takes degrees to both sides, or [least, largest]")


def is_range(value: Any, least: float = -math.inf, largest: float = math.inf) -> bool:
    """Whether a value is two numbers in order, within limits."""
    if not isinstance(value, Sequence) or len(value) != 2 or not all(map(_is_number, value)):
        return False
    return bool(least <= value[0] <= value[1] <= largest)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _luma(values: Any) -> Any:
    import numpy as np

    return values @ np.array(LUMA, np.float32)
