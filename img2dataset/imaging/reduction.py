"""What the fast route may skip, decided from sizes alone. Pure functions of numbers.

Fidelity and cost of each decision are measured by ``benchmarks/fidelity.py`` and told in docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass

# A decode to means of 2 x 2 samples keeps this many times the target: at 2.75 it is 43 dB from full
# INTER_AREA at the least, at 2 only 40.
KEPT = 2.75
# From so many times the target on, the last bit of a progressive JPEG's luma is left out (41 dB at the
# least), and every bit that its refining scans bring (36 dB).
WITHOUT_LAST_BIT, WITHOUT_REFINEMENTS = 1.8, 3.0
# JPEG's usual reduced decode, which loses what a box filter lets through, keeps so many times the target.
KEPT_OF_USUAL = 3


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How a JPEG is decoded: to means of ``reduction`` samples a side (1, 2, 4 or 8), without some scans."""

    reduction: int = 1
    without_last_luma_refinement: bool = False
    without_refinements: bool = False
    without_high_luma: bool = False


def jpeg_shortcuts(size: tuple[int, int], target: tuple[int, int]) -> Shortcuts:
    """The shortcuts for a JPEG of ``size`` that is shrunk to ``target``, both (width, height) in pixels."""
    times = times_the_target(size, target)
    reduction = _reduction(times, KEPT)
    return Shortcuts(
        reduction=reduction,
        without_last_luma_refinement=times >= WITHOUT_LAST_BIT,
        without_refinements=times >= WITHOUT_REFINEMENTS,
        # Means of 4 x 4 samples hold next to nothing of what comes after the first five coefficients.
        without_high_luma=reduction >= 4,
    )


def usual_reduction(size: tuple[int, int], target: tuple[int, int]) -> int:
    """By how much a JPEG is reduced where the project's own decoder does not take it: 1, 2, 4 or 8."""
    return _reduction(times_the_target(size, target), KEPT_OF_USUAL)


def times_the_target(size: tuple[int, int], target: tuple[int, int]) -> float:
    return min(size[0] / target[0], size[1] / target[1])


def _reduction(times: float, kept: float) -> int:
    reduction = 1
    while reduction < 8 and times >= kept * 2 * reduction:
        reduction *= 2
    return reduction


@dataclass(frozen=True, slots=True)
class Steps:
    """How pixels are reduced without fractional ``INTER_AREA``: three steps that OpenCV vectorises.

    The mean of ``window`` x ``window`` pixels around each (odd; 1: none), bilinearly to ``multiple`` times
    the target (a power of two), exact halvings.
    """

    window: int
    multiple: int


# Up to how many times the target each way is taken. A bilinear step reads four pixels, so that it lets
# aliases through where it reduces by more than 1.3 of them, or of windows; a zone plate shows that. Windows
# as large as the step are as good as INTER_AREA (50 dB, 43 at the ends of their range), at a quarter of its
# cost.
_WAYS = (
    (1.3, Steps(1, 1)),
    (2.6, Steps(1, 2)),
    (3.4, Steps(3, 1)),
    (4.4, Steps(1, 4)),
    (5.5, Steps(5, 1)),
    (7.2, Steps(3, 2)),
    (8.0, Steps(1, 4)),
)
# Sides that are reduced by more different factors are no photograph's.
_ALIKE = 1.1


def steps_of_reduction(size: tuple[int, int], target: tuple[int, int]) -> Steps | None:
    """The steps from ``size`` to ``target``, (width, height) in pixels; None: ``INTER_AREA``."""
    across, down = size[0] / target[0], size[1] / target[1]
    times = max(across, down)
    for most, steps in _WAYS:
        if times <= most:
            return steps if steps.window == 1 or times <= _ALIKE * min(across, down) else None
    # JPEGs are reduced before; of others, windows this large cost what INTER_AREA does.
    return None
