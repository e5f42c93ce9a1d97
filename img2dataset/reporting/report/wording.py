"""How a page says times, sizes and durations, and what a section of it is."""

from __future__ import annotations

import time

from img2dataset.reporting.page import Markup, element


def section(title: str, *children: object) -> Markup | None:
    """A part of a page under a heading; None if there is nothing in it."""
    if not any(child is not None for child in children):
        return None
    anchor = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return element("section", element("h2", title, id=anchor), *children, aria_labelledby=anchor)


def time_text(seconds: float | None) -> str:
    """Unix seconds as a time of day, in UTC."""
    return (
        time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if seconds is not None else "not known"
    )


def duration_text(seconds: float | None) -> str:
    """In the two largest units."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def bytes_text(count: float | None) -> str:
    """With three digits and a unit."""
    if count is None:
        return "not known"
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:,.0f} B"
