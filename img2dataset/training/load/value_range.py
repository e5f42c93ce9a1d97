"""Which numbers the values of an image become: ``normalize`` or ``value_range`` comes in, a mean and a
deviation for each colour go out. Called by ``images``.
"""

from __future__ import annotations

from typing import Any

from img2dataset.errors import OptionError
from img2dataset.training.load.augmentation import is_range


def checked_normalization(value: Any, value_range: Any = None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of red, green and blue, of values from 0 to 1.

    Raises:
        OptionError: neither of the two, or both are given.
    """
    if value_range is not None:
        if value not in (False, None):
            raise OptionError("normalize and value_range are both given; leave out one of them")
        if not is_range(value_range) or value_range[0] == value_range[1]:
            raise OptionError(
                f"value_range is {value_range!r}; it takes what black and white become, such as [0, 255]"
            )
        black, white = value_range
        return (-black / (white - black),) * 3, (1 / (white - black),) * 3
    if value is False or value is None:
        return (0.0,) * 3, (1.0,) * 3
    if value is True:
        return (0.5,) * 3, (0.5,) * 3
    try:
        mean, deviation = (
            (float(part),) * 3 if isinstance(part, (int, float)) else tuple(map(float, part))
            for part in value
        )
    except (TypeError, ValueError):
        mean = deviation = ()
    if len(mean) != 3 or len(deviation) != 3 or not all(one > 0 for one in deviation):
        raise OptionError(
            f"normalize is {value!r}; it takes True, False or [mean, deviation] (numbers or three each)"
        )
    return mean, deviation
