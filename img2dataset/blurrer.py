"""``BoundingBoxBlurrer``, where 1.47.0 had it: DataComp's resharder blurs faces with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["BoundingBoxBlurrer"]


class BoundingBoxBlurrer:
    """Blurs regions of an image, pixel for pixel as 1.47.0 did."""

    def __call__(self, img: Any, bbox_list: Sequence[Sequence[float]]) -> Any:
        """Blur the boxes.

        Args:
            img: the image as an array of 0-255, height x width x channels, or height x width.
            bbox_list: boxes as [x_min, y_min, x_max, y_max] in 0-1 of the image, cut off at its edges.

        Returns:
            A new array of type uint8; ``img`` itself if there is nothing to blur.

        Raises:
            ValueError: a box is not four finite numbers.
        """
        from img2dataset.imaging.blur import blur_boxes_as_before

        return blur_boxes_as_before(img, [_four_numbers(box) for box in bbox_list])


def _four_numbers(box: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(number) for number in box)
    return left, top, right, bottom
