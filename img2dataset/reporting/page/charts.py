"""Charts as plain SVG, and tables with bars: numbers come in, markup goes out.

Each chart says what it shows in words, for those who do not see it, and ``figure`` puts its numbers below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from img2dataset.reporting.page.markup import Markup, element, join

# A chart's own pixels: as wide as it is on a phone, so that its letters can be read there.
WIDTH, HEIGHT = 400, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 10, 26
_MOST_LABELS = 6
# A table of more has no room on a phone.
_MOST_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn in one colour: a name, and a number for each place along the chart; None is a gap."""

    name: str
    values: Sequence[float | None]


def number(value: float) -> str:
    """A number as people read it: in thousands with separators, small ones with two digits."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def short(value: float) -> str:
    """A number beside an axis: 12k, 3.4M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def share(part: float, whole: float) -> str:
    """A part of a whole as per cent."""
    return f"{part / whole:.1%}" if whole else "–"


def line_chart(
    series: Sequence[Series],
    labels: Sequence[str],
    what: str,
    shown: Callable[[float], str] = short,
    top: float | None = None,
) -> Markup:
    """Lines over equal steps of time.

    Args:
        series: each with a number for each label.
        labels: of the steps; a few of them are shown.
        what: the chart in words, for a screen reader.
        shown: a number as the axis shows it.
        top: where the axis ends; None: above the largest number.
    """
    top = top or _top(series)
    steps = max(len(labels) - 1, 1)
    children = [*_scale(top, shown)]
    for position, each in enumerate(series):
        for part in _parts(each.values):
            points = [(_x(index / steps), _y(value / top)) for index, value in part]
            if len(points) == 1:
                (x, y) = points[0]
                points = [(x - 2, y), (x + 2, y)]
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            children.append(element("path", d=path, class_=f"line-{position}"))
    children += _labels(labels, [index / steps for index in range(len(labels))])
    return _svg(children, what)


def column_chart(
    series: Sequence[Series], labels: Sequence[str], what: str, shown: Callable[[float], str] = short
) -> Markup:
    """Columns side by side, those of each label together; arguments as of ``line_chart``."""
    top = _top(series)
    slot = 1 / max(len(labels), 1)
    wide = slot * 0.8 / max(len(series), 1)
    children = [*_scale(top, shown)]
    for position, each in enumerate(series):
        for index, value in enumerate(each.values):
            if not value:
                continue
            x = _x(index * slot + slot * 0.1 + position * wide)
            y = _y(value / top)
            width = max((WIDTH - _LEFT - _RIGHT) * wide - 0.5, 0.5)
            tip = f"{labels[index]}{f', {each.name}' if len(series) > 1 else ''}: {number(value)}"
            height = max(_y(0) - y, 0.5)
            children.append(
                element(
                    "rect",
                    element("title", tip),
                    x=x,
                    y=_y(0) - height,
                    width=width,
                    height=height,
                    class_=f"fill-{position}",
                )
            )
    children += _labels(labels, [(index + 0.5) * slot for index in range(len(labels))])
    return _svg(children, what)


def figure(
    title: str,
    chart: Markup,
    series: Sequence[Series],
    labels: Sequence[str],
    *,
    note: str | None = None,
    first: str = "",
) -> Markup:
    """A chart with its title, a legend where it has several series, and its numbers, folded.

    Args:
        title, chart, series, labels: of it.
        note: a line below it.
        first: what the labels are.
    """
    legend = None
    if len(series) > 1:
        legend = element(
            "ul",
            *(element("li", swatch(f"fill-{position}"), each.name) for position, each in enumerate(series)),
            class_="legend",
        )
    rows = [
        (label, *(("" if each.values[index] is None else number(each.values[index] or 0)) for each in series))
        for index, label in enumerate(labels)
    ]
    numbers = table((first, *(each.name for each in series)), rows)
    return element(
        "figure",
        element("figcaption", title),
        chart,
        legend,
        element("p", note, class_="faint small") if note else None,
        element("details", element("summary", f"{title} in numbers"), numbers),
        class_="card",
    )


def swatch(colour: str) -> Markup:
    """A small square of a colour of the style: ``fill-0``."""
    return element(
        "svg",
        element("rect", width=10, height=10, rx=2, class_=colour),
        viewBox="0 0 10 10",
        aria_hidden="true",
    )


def bar(part: float, colour: str = "fill-0") -> Markup:
    """A bar as long as a share of what is there: for a cell of a table."""
    length = max(0.0, min(1.0, part)) * 100
    return element(
        "svg",
        element("rect", width=100, height=6, rx=1, class_="fill-track"),
        element("rect", width=max(length, 0.6) if part > 0 else 0, height=6, rx=1, class_=colour),
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; its first column names the rows, the others are numbers, or bars, which are ``Markup``."""
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(
                element("td", cell, class_="bar" if isinstance(cell, Markup) else "number")
                for cell in row[1:]
            ),
        )
        for row in rows
    ]
    names = [
        element("th", name, scope="col", class_="number" if position else None) if name else element("td")
        for position, name in enumerate(head)
    ]
    whole = element("table", element("thead", element("tr", *names)), element("tbody", *body))
    if len(head) <= _MOST_COLUMNS:
        return whole
    # What can be scrolled must be reached by the keyboard.
    return element("div", whole, class_="scrolls", tabindex=0)


def _top(series: Sequence[Series]) -> float:
    """The end of the scale: what is round above the largest number."""
    largest = max((value for each in series for value in each.values if value is not None), default=0)
    if largest <= 0:
        return 1.0
    size: float = 10 ** math.floor(math.log10(largest))
    return next(step * size for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * size >= largest)


def _x(part: float) -> float:
    return _LEFT + part * (WIDTH - _LEFT - _RIGHT)


def _y(part: float) -> float:
    return HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)


def _scale(top: float, shown: Callable[[float], str]) -> Iterable[Markup]:
    for part in (0.0, 0.5, 1.0):
        y = _y(part)
        yield element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="axis")
        yield element("text", shown(top * part), x=_LEFT - 6, y=y + 4, text_anchor="end")


def _labels(labels: Sequence[str], places: Sequence[float]) -> Iterable[Markup]:
    """As many labels as have room, the first and the last among them where there are few."""
    every = max(1, math.ceil(len(labels) / _MOST_LABELS))
    for index in range(0, len(labels), every):
        at = _x(places[index])
        anchor = "start" if places[index] < 0.02 else "end" if places[index] > 0.98 else "middle"
        yield element("text", labels[index], x=at, y=HEIGHT - 8, text_anchor=anchor)


def _parts(values: Sequence[float | None]) -> Iterable[list[tuple[int, float]]]:
    """What lies between gaps."""
    part: list[tuple[int, float]] = []
    for index, value in enumerate(values):
        if value is None:
            if part:
                yield part
            part = []
        else:
            part.append((index, value))
    if part:
        yield part


def _svg(children: Iterable[Markup], what: str) -> Markup:
    return element(
        "svg",
        join(*children),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=what,
        class_="chart",
    )
