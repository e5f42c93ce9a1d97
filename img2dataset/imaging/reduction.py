"""What the fast route may leave undone, decided from sizes alone. Pure functions of numbers.

Fidelity and cost of each decision are measured by ``benchmarks/fidelity.py`` and told in docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass

# JPEG's own reduced decode keeps this many times the target: at 4 the result cannot be told from the full
# one (46 dB at the least), at 2 it loses what a box filter lets through as aliases (32 dB at the least).
KEPT = 3
# Photographs of a camera's size have less detail in a pixel; where they are also this many times the target,
# 2 are enough.
LARGE_SIDE, LARGE_TIMES, KEPT_OF_LARGE = 2000, 8, 2


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How a JPEG is decoded: reduced by ``reduction`` (1, 2, 4 or 8), without some progressive scans."""

    reduction: int = 1
    without_last_luma_refinement: bool = False
    without_refinements: bool = False
    without_high_luma: bool = False

    @property
    def leaves_out_scans(self) -> bool:
        return self.without_last_luma_refinement or self.without_refinements or self.without_high_luma


def jpeg_shortcuts(size: tuple[int, int], target: tuple[int, int]) -> Shortcuts:
    """The shortcuts for a JPEG of ``size`` that is scaled to ``target``, both (width, height) in pixels."""
    times = min(size[0] / target[0], size[1] / target[1])
    kept = KEPT_OF_LARGE if times >= LARGE_TIMES and max(size) >= LARGE_SIDE else KEPT
    reduction = 1
    while reduction < 8 and times >= kept * 2 * reduction:
        reduction *= 2
    return Shortcuts(
        reduction=reduction,
        without_last_luma_refinement=times >= 2,
        without_refinements=times >= 4,
        # Reduced by 4, a block is decoded from its four lowest coefficients, all among the first five.
        without_high_luma=reduction >= 4,
    )


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
