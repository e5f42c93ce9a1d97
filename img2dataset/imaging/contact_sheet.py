"""Many pictures on one sheet, each with a few lines of text under it.

In: pictures and texts. Out: one picture. Called by the previews of the training side and by ``inspecting``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN = 8
LINE_HEIGHT = 15
PAPER, INK = (255, 255, 255), (40, 40, 40)
# Of a character of the font, on average, in pixels.
_CHARACTER_WIDTH = 6


def contact_sheet(
    pictures: Sequence[tuple[Image.Image, str]], columns: int, size: int, lines_of_text: int
) -> Image.Image:
    """A sheet of pictures, row by row.

    Args:
        pictures: at least one, RGB, with its text, whose lines are kept and broken where they are too long.
        columns: pictures in a row.
        size: longest side of a picture on the sheet, pixels; larger ones are reduced in place.
        lines_of_text: room for so many lines under each; what is longer ends in ``…``.

    Returns:
        An RGB picture.
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    cell = (size + MARGIN, size + MARGIN + lines_of_text * LINE_HEIGHT)
    sheet = Image.new("RGB", (columns * cell[0] + MARGIN, rows * cell[1] + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for number, (picture, text) in enumerate(pictures):
        left, top = MARGIN + number % columns * cell[0], MARGIN + number // columns * cell[1]
        picture.thumbnail((size, size))
        sheet.paste(picture, (left + (size - picture.width) // 2, top + (size - picture.height) // 2))
        for line_number, line in enumerate(_wrapped(text, max(8, size // _CHARACTER_WIDTH), lines_of_text)):
            draw.text((left, top + size + 2 + line_number * LINE_HEIGHT), line, fill=INK, font=font)
    return sheet


def _wrapped(text: str, width: int, most: int) -> list[str]:
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, width)]
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1][:-1] + "…"]
