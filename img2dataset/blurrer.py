"""``BoundingBoxBlurrer`` under the name that scripts written for img2dataset 1.47.0 import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from img2dataset.imaging.blur import blur_boxes_as_before, checked_boxes
from img2dataset.imaging.failure import ImageFailure


class BoundingBoxBlurrer:
    """Blurs regions of an image, with the pixels that 1.47.0 made."""

    def __call__(self, img: Any, bbox_list: Sequence[Sequence[float]] | None) -> Any:
        """Blur.

        Args:
            img: pixels of shape (height, width) or (height, width, channels), uint8; not changed.
            bbox_list: [x_min, y_min, x_max, y_max] in 0–1 of the image; none or empty: nothing is blurred.

        Returns:
            Pixels of the same shape and type.

        Raises:
            ValueError: a box is not four numbers in 0–1 with min <= max.
        """
        try:
            boxes = checked_boxes(bbox_list)
        except ImageFailure as failure:
            raise ValueError(f"{failure.message}: {bbox_list!r}") from None
        return blur_boxes_as_before(img.copy(), boxes) if boxes else img
