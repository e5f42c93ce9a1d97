"""How large, what crop, what pad: pure functions of numbers, no pixels. Called by the processor.

Comes in: the size of an upright image and what is wanted. Goes out: a ``Plan``.
"""

from __future__ import annotations

from dataclasses import dataclass

from img2dataset.options.images import ResizeMode


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to the pixels: scale, then cut out ``crop``, then add ``pad``.

    ``scaled`` is (width, height); ``crop`` is (left, top, width, height) of the scaled image; ``pad`` is
    (top, bottom, left, right). ``shrinks`` chooses the interpolation. ``untouched`` means that the mode
    leaves such an image alone, which is not the same as a scale that happens to change nothing:
    img2dataset 1.47.0 encodes the second anew even with ``skip_reencode``.
    """

    scaled: tuple[int, int]
    shrinks: bool = False
    crop: tuple[int, int, int, int] | None = None
    pad: tuple[int, int, int, int] | None = None
    untouched: bool = False


def plan_resize(
    width: int, height: int, image_size: int, resize_mode: ResizeMode, only_if_bigger: bool
) -> Plan:
    """Plan the way from an upright ``width`` x ``height`` image to what is stored, all in pixels.

    Args:
        resize_mode: as the option.
        only_if_bigger: leave an image alone whose deciding side (the longest for border and
            keep_ratio_largest, the shortest for keep_ratio and center_crop) is not above ``image_size``.
    """
    if resize_mode == "no":
        return Plan((width, height), untouched=True)
    longest_decides = resize_mode in ("border", "keep_ratio_largest")
    deciding = max(width, height) if longest_decides else min(width, height)
    shrinks = deciding > image_size
    if only_if_bigger and not shrinks:
        return Plan((width, height), untouched=True)
    scaled = scaled_size(width, height, image_size, deciding)
    if resize_mode == "border":
        return Plan(scaled, shrinks, pad=centred_pad(*scaled, image_size))
    if resize_mode == "center_crop":
        return Plan(scaled, shrinks, crop=centred_crop(*scaled, image_size))
    return Plan(scaled, shrinks)


def scaled_size(width: int, height: int, image_size: int, deciding: int) -> tuple[int, int]:
    """Both sides times image_size / deciding, rounded to nearest, halves to even, at least one pixel.

    The factor is formed first and then multiplied, as 1.47.0 does: 27 x (100 / 24) is a little above
    112.5 in floating point and becomes 113, where 27 x 100 / 24 would become 112.
    """
    factor = image_size / deciding
    return max(1, round(width * factor)), max(1, round(height * factor))


def centred_pad(width: int, height: int, side: int) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) to a square of ``side``; an odd pixel goes after the image."""
    vertical, horizontal = max(0, side - height), max(0, side - width)
    if not vertical and not horizontal:
        return None
    top, left = vertical // 2, horizontal // 2
    return top, vertical - top, left, horizontal - left


def centred_crop(width: int, height: int, side: int) -> tuple[int, int, int, int] | None:
    """(left, top, width, height) of the central square of ``side``; an odd pixel is cut after it."""
    if width == side and height == side:
        return None
    return (width - side) // 2, (height - side) // 2, side, side
