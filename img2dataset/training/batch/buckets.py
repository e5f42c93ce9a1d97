"""Aspect-ratio buckets: sizes of about equal area, and which of them a picture goes to.

Pure functions of numbers, but for ``resize_and_crop``. Called by the datasets and the bucket sampler. Method:
NovelAI 2022 (novelai.net, "aspect ratio bucketing"); SDXL's list: Podell et al. 2023, appendix I.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.training.load.image_bytes import Size
from img2dataset.training.load.images import Placement, covering, pixels_of, placed

NO_BUCKET = -1

# Width and height in pixels, as SDXL was trained with: areas close to 1024 x 1024.
SDXL_SIZES: tuple[Size, ...] = tuple(
    (width, height)
    for height, widths in (
        (512, (2048, 1984, 1920, 1856)),
        (576, (1792, 1728, 1664)),
        (640, (1600, 1536)),
        (704, (1472, 1408, 1344)),
        (768, (1344, 1280)),
        (832, (1216, 1152)),
        (896, (1152, 1088)),
        (960, (1088, 1024)),
        (1024, (1024, 960)),
        (1088, (960, 896)),
        (1152, (896, 832)),
        (1216, (832,)),
        (1280, (768,)),
        (1344, (768,)),
        (1408, (704,)),
        (1472, (704,)),
        (1536, (640,)),
        (1600, (640,)),
        (1664, (576,)),
        (1728, (576,)),
        (1792, (576,)),
        (1856, (512,)),
        (1920, (512,)),
        (1984, (512,)),
        (2048, (512,)),
    )
    for width in widths
)


@dataclass(frozen=True)
class BucketFit:
    """A picture in its bucket. Sizes in pixels.

    Args:
        bucket: number of the bucket.
        size: width and height of the bucket.
        scaled: width and height of the picture before it is cropped.
        crop_left, crop_top: where the crop begins in the scaled picture: SDXL's crop conditioning.
    """

    bucket: int
    size: Size
    scaled: Size
    crop_left: int
    crop_top: int

    def conditioning(self, original: Size) -> dict[str, tuple[int, int]]:
        """SDXL's conditioning, each (vertical, horizontal), for a picture that was of size ``original``."""
        return {
            "original_size": (original[1], original[0]),
            "crop_top_left": (self.crop_top, self.crop_left),
            "target_size": (self.size[1], self.size[0]),
        }


def bucket_sizes(area: int = 1024 * 1024, step: int = 64, max_aspect_ratio: float = 4.0) -> tuple[Size, ...]:
    """Sizes of at most ``area`` pixels whose sides are multiples of ``step``, widest last.

    Args:
        area: pixels; no size has more.
        step: pixels; what the model divides sides by (8 for the VAE, times its patches).
        max_aspect_ratio: longer side by shorter side.

    Returns:
        The largest square, and for each width the greatest height within ``area``, and the other way round;
        (width, height) each.

    Raises:
        OptionError: a value is out of its range.
    """
    if step < 1 or area < step * step:
        raise OptionError(f"area={area} and step={step} allow no bucket; area must be at least step x step")
    if max_aspect_ratio < 1:
        raise OptionError(f"max_aspect_ratio is {max_aspect_ratio!r}; it must be at least 1")
    square = math.isqrt(area) // step * step
    sizes = {(square, square)}
    longest = min(area // step, int(math.sqrt(area * max_aspect_ratio)) + step)
    for side in range(step, longest + 1, step):
        other = area // side // step * step
        if other and max(side, other) <= max_aspect_ratio * min(side, other):
            sizes |= {(side, other), (other, side)}
    return tuple(sorted(sizes, key=lambda size: size[0] / size[1]))


class Buckets:
    """A set of sizes, and the assignment of pictures to them.

    Args:
        sizes: (width, height) each; "sdxl" for ``SDXL_SIZES``; None: from ``area``, ``step`` and
            ``max_aspect_ratio`` by ``bucket_sizes``.
        upscale: whether a picture may be enlarged to fill its bucket. If not, it goes to the bucket of the
            closest aspect ratio that it covers, and to none if it covers none.

    Raises:
        OptionError: no sizes, or not pairs of whole numbers.
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[int]] | str | None = None,
        *,
        area: int = 1024 * 1024,
        step: int = 64,
        max_aspect_ratio: float = 4.0,
        upscale: bool = True,
    ):
        if isinstance(sizes, str):
            if sizes.lower() != "sdxl":
                raise OptionError(f"sizes is {sizes!r}; it takes 'sdxl' or a list of [width, height]")
            sizes = SDXL_SIZES
        given = bucket_sizes(area, step, max_aspect_ratio) if sizes is None else sizes
        if not given or any(len(size) != 2 or min(size) < 1 for size in given):
            raise OptionError(f"sizes is {given!r}; it takes a list of [width, height] in pixels")
        self.sizes: tuple[Size, ...] = tuple((int(size[0]), int(size[1])) for size in given)
        self.upscale = upscale

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        sizes = repr(self.sizes) if len(self) <= 6 else f"{len(self)} sizes"
        return f"Buckets({sizes}, upscale={self.upscale!r})"

    def assign(self, width: int, height: int) -> int:
        """The bucket of a picture of that size, in pixels; ``NO_BUCKET`` (−1) if it fits none."""
        best, best_rank = NO_BUCKET, (math.inf, 0)
        for number, (bucket_width, bucket_height) in enumerate(self.sizes):
            if not self.upscale and (bucket_width > width or bucket_height > height):
                continue
            # Lost to the crop is 1 − exp(−distance) of the picture; of equals, the largest.
            distance = abs(math.log(width * bucket_height / (height * bucket_width)))
            rank = (round(distance, 9), -bucket_width * bucket_height)
            if rank < best_rank:
                best, best_rank = number, rank
        return best

    def assign_many(self, widths: Any, heights: Any) -> Any:
        """The buckets of many pictures: int32 of the shape of ``widths``; a million take about a second."""
        import numpy as np

        widths, heights = np.asarray(widths, np.float64), np.asarray(heights, np.float64)
        best = np.full(widths.shape, NO_BUCKET, np.int32)
        best_distance = np.full(widths.shape, np.inf)
        has_size = (widths > 0) & (heights > 0)
        ratio = np.log(np.where(has_size, widths, 1) / np.where(has_size, heights, 1))
        largest_first = sorted(range(len(self.sizes)), key=lambda number: -math.prod(self.sizes[number]))
        for number in largest_first:
            width, height = self.sizes[number]
            distance = np.round(np.abs(ratio - math.log(width / height)), 9)
            allowed = has_size if self.upscale else has_size & (widths >= width) & (heights >= height)
            better = allowed & (distance < best_distance)
            best[better] = number
            best_distance[better] = distance[better]
        return best

    def fit(self, width: int, height: int, bucket: int | None = None) -> BucketFit:
        """How a picture of that size is placed in its bucket, or in ``bucket``: covered, the middle kept.

        Raises:
            OptionError: it fits no bucket.
        """
        number = self.assign(width, height) if bucket is None else bucket
        if number == NO_BUCKET:
            raise OptionError(
                f"a picture of {width}x{height} fits no bucket without being enlarged (upscale=False)"
            )
        size = self.sizes[number]
        scaled = covering((width, height), size)
        return BucketFit(number, size, scaled, (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2)

    def resize_and_crop(self, picture: Any, bucket: int | None = None) -> tuple[Any, BucketFit]:
        """Bring a picture to the size of its bucket, or of ``bucket``.

        Args:
            picture: ``PIL.Image.Image``, or an array of shape (height, width, 3), uint8.

        Returns:
            An array of shape (bucket height, bucket width, 3), uint8, RGB; and how it was placed.
        """
        import numpy as np

        pixels = pixels_of(picture)
        fit = self.fit(pixels.shape[1], pixels.shape[0], bucket)
        placement = Placement(fit.scaled, fit.crop_left, fit.crop_top, fit.size)
        return np.ascontiguousarray(placed(pixels, placement)), fit
