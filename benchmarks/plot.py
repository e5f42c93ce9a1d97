"""The bar chart of the README, as SVG: images/s of every contender in every scenario. Used by ``run.py``.

Written by hand: a plotting library would be one more environment. Colours and text change with the
reader's light or dark theme (``prefers-color-scheme``).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.contenders import DAFT, PEER, PROJECT
from benchmarks.results import LIMIT, Group, medians

WIDTH = 760
LEFT = 190  # of the bars; the names of the programs stand before
RIGHT = 90  # room for the figure after the longest bar
BAR = 18
GAP = 5
GROUP_GAP = 34
CLASSES = {PROJECT: "project", PEER: "peer", DAFT: "daft", LIMIT: "limit"}

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 } .name { text-anchor: end }
  .project { fill: #1a7f5a } .peer { fill: #8c959f } .daft { fill: #b08d57 }
  .limit { fill: none; stroke: #57606a; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #d0d7de }
    .project { fill: #3fb98a } .peer { fill: #6e7681 } .daft { fill: #c9a66b } .limit { stroke: #9198a1 }
  }
"""


def draw(groups: Sequence[Group]) -> str:
    """The chart of the groups at equal settings, or of whatever there is.

    Args:
        groups: as measured; contenders without a good run are left out.

    Returns:
        The SVG document.
    """
    chosen = [group for group in groups if group.setting == "equal"] or list(groups)
    parts: list[str] = []
    top = 6
    for group in chosen:
        drawn, height = _draw_group(group, top)
        parts += drawn
        top += height
    label = "Images a second by program and scenario"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}"'
            f' height="{top}" role="img" aria-label="{label}">',
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>",
            "",
        ]
    )


def _draw_group(group: Group, top: int) -> tuple[list[str], int]:
    """The title and bars of one scenario from ``top`` down, on a scale of its own, and their height."""
    rates = {name: found.images_per_s for name in group.contenders() if (found := medians(group.good(name)))}
    parts = [f'<text class="title" x="0" y="{top + 14}">{escape(group.title)}, images/s</text>']
    largest = max(rates.values(), default=0.0)
    y = top + 24
    for name, rate in rates.items():
        width = (WIDTH - LEFT - RIGHT) * rate / largest if largest else 0.0
        parts += [
            f'<text class="name" x="{LEFT - 8}" y="{y + 13}">{escape(name)}</text>',
            f'<rect class="{CLASSES[name]}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{LEFT + width + 8:.1f}" y="{y + 13}">{_rate_text(name, rate, rates)}</text>',
        ]
        y += BAR + GAP
    return parts, y - top + GROUP_GAP - 2 * GAP


def _rate_text(name: str, rate: float, rates: dict[str, float]) -> str:
    """The figure after a bar; this project's with its ratio over 1.47.0."""
    figure = f"{rate:.0f}"
    if name == PROJECT and rates.get(PEER):
        return f"{figure} ({rate / rates[PEER]:.1f} ×)"
    return figure
