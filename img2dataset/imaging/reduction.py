"""What the fast route may leave undone, decided from sizes alone. Pure functions of numbers.

Fidelity and cost of each decision are measured by ``benchmarks/fidelity.py`` and told in docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass

# JPEG's own reduced decode keeps this many times the target: at 4 the result cannot be told from the full
# one (46 dB at the least), at 2 it loses what a box filter lets through as aliases (32 dB at the least).
KEPT = 3
# Photographs this many times larger than the target have less detail in a pixel; there 2 are enough.
LARGE, KEPT_OF_LARGE = 8, 2


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
    kept = KEPT_OF_LARGE if times >= LARGE else KEPT
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


# The most that a bilinear step may reduce by: it reads four pixels, and beyond this lets aliases through,
# which a zone plate shows.
BILINEAR = 1.3


def intermediate_multiple(size: tuple[int, int], target: tuple[int, int]) -> int | None:
    """The power of two m for scaling bilinearly to m times the target, then by exact halvings.

    None where ``INTER_AREA`` is as fast as the smallest m that keeps to ``BILINEAR``.
    """
    times = max(size[0] / target[0], size[1] / target[1])
    for multiple, least in ((1, 0.0), (2, 0.0), (4, 3.2)):
        if times <= BILINEAR * multiple:
            return multiple if times >= least else None
    # Four times as many pixels would cost more than their aliases show; JPEGs are reduced before.
    return 4 if times <= 8 else None
