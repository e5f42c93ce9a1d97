"""The fast reduction stays near ``INTER_AREA``, on every way it may take."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from img2dataset.imaging.reduction import jpeg_shortcuts, steps_of_reduction, usual_reduction
from img2dataset.imaging.resize import reduce_in_steps
from tests.pictures import photograph_pixels

TARGET = (160, 120)
# The middle and the ends of each way.
TIMES = (1.1, 1.3, 1.4, 2.0, 2.6, 2.7, 3.0, 3.4, 3.5, 4.0, 4.4, 4.5, 5.0, 5.5, 5.6, 6.0, 7.2, 7.5, 8.0)


def psnr(pixels: np.ndarray, others: np.ndarray) -> float:
    error = np.mean((pixels.astype(np.float64) - others) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def reductions(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return reduce_in_steps(pixels, TARGET), cv2.resize(pixels, TARGET, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("times", TIMES)
def test_a_photograph_is_reduced_as_inter_area_does(times):
    fast, area = reductions(photograph_pixels(round(TARGET[0] * times), round(TARGET[1] * times)))
    assert fast.shape == area.shape
    assert psnr(fast, area) > 38


@pytest.mark.parametrize("times", TIMES)
def test_a_zone_plate_shows_hardly_more_aliases_than_inter_area(times):
    """Rings up to half a cycle a pixel: what aliases shows as rings where there is grey."""
    width, height = round(TARGET[0] * times), round(TARGET[1] * times)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = y - height / 2, x - width / 2
    rings = ((np.cos(np.pi * (x * x + y * y) / width) * 0.5 + 0.5) * 255).astype(np.uint8)
    fast, area = reductions(rings)
    assert psnr(fast, area) > 26


def test_far_reductions_and_sides_of_different_factors_are_left_to_inter_area():
    assert steps_of_reduction((900, 900), (100, 100)) is None
    assert steps_of_reduction((300, 200), (100, 100)) is None
    fast, area = reductions(photograph_pixels(TARGET[0] * 9, TARGET[1] * 9))
    assert np.array_equal(fast, area)


@pytest.mark.parametrize(
    ("size", "target", "reduction", "usual"),
    [
        ((1300, 1000), (256, 197), 1, 1),
        ((1500, 1000), (256, 171), 2, 1),
        ((1600, 1200), (256, 192), 2, 2),
        ((3000, 2000), (256, 171), 4, 2),
        ((750, 500), (64, 43), 4, 2),
        ((6000, 4000), (256, 171), 8, 4),
        # The side that is reduced less decides.
        ((6000, 500), (256, 250), 1, 1),
    ],
)
def test_a_jpeg_is_decoded_reduced_where_enough_pixels_are_left(size, target, reduction, usual):
    assert jpeg_shortcuts(size, target).reduction == reduction
    assert usual_reduction(size, target) == usual
