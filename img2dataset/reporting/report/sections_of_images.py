"""Parts of a report's page: sizes, formats and bytes, captions, duplicates. Document in, markup out."""

from __future__ import annotations

from typing import Any

from img2dataset.counted import counted
from img2dataset.reporting.page import Markup, element
from img2dataset.reporting.page.charts import Series, bar, column_chart, figure, share, table
from img2dataset.reporting.report.wording import bytes_text, section


def sizes(document: dict[str, Any]) -> Markup | None:
    """Longer sides and aspect ratios, as they came and as they are stored."""
    before, after = document["images"]["before"], document["images"]["after"]
    named = [
        (name, sizes)
        for name, sizes in (("downloaded", before), ("stored", after))
        if sizes["longer_side"]["count"]
    ]
    if not named:
        return None
    sides = [Series(name, list(found["longer_side"]["histogram"].values())) for name, found in named]
    ratios = [Series(name, list(found["width_over_height"].values())) for name, found in named]
    side_labels = list(named[0][1]["longer_side"]["histogram"])
    ratio_labels = list(named[0][1]["width_over_height"])
    note = "; ".join(
        f"{name}: {found['longer_side']['least']:,} to {found['longer_side']['largest']:,} pixels,"
        f" median {found['longer_side']['median']:,}"
        for name, found in named
    )
    short_ratios = ["<1:3", "1:3", "1:2", "2:3", "1:1", "3:2", "2:1", "3:1", ">3:1"]
    return section(
        "Sizes before and after",
        element(
            "div",
            figure(
                "Longer side in pixels",
                column_chart(
                    sides,
                    [_first(label) for label in side_labels],
                    "Images by their longer side, downloaded and stored",
                ),
                sides,
                side_labels,
                note=note,
                first="pixels",
            ),
            figure(
                "Width to height",
                column_chart(ratios, short_ratios, "Images by width to height, downloaded and stored"),
                ratios,
                ratio_labels,
                first="width to height",
            ),
            class_="grid",
        ),
    )


def _first(label: str) -> str:
    """Where a class of numbers begins: what has room below a column."""
    return label.partition("–")[0]


def _bars(counts: dict[str, int], first: str) -> Markup:
    whole = sum(counts.values())
    most = max(counts.values(), default=1)
    rows = [(name, f"{count:,}", share(count, whole), bar(count / most)) for name, count in counts.items()]
    return table((first, "count", "share", ""), rows)


def _card(title: str, *children: object) -> Markup:
    return element("div", element("h3", title), *children, class_="card")


def formats(document: dict[str, Any]) -> Markup | None:
    """What images are stored as, what their URLs end in, and what takes how much room."""
    found, sizes_of = document["formats"], document["bytes"]
    cards = []
    if found["stored_in_sample"]:
        cards.append(_card("Stored as (of the sample)", _bars(found["stored_in_sample"], "format")))
    if found["url_endings"]:
        cards.append(_card("URLs of images end in", _bars(found["url_endings"], "ending")))
    if found["not_images"]:
        cards.append(_card("Bodies that were no image", _bars(found["not_images"], "what they were")))
    if sizes_of["files"]:
        most = max(sizes_of["files"].values())
        rows = [
            (name or "folders", bytes_text(size), bar(size / most))
            for name, size in sizes_of["files"].items()
        ]
        rows += [
            (f"{name}, as the log says", bytes_text(sizes_of[name]), bar(sizes_of[name] / most))
            for name in ("downloaded", "images")
            if sizes_of[name]
        ]
        cards.append(_card("Bytes", table(("files", "size", ""), rows)))
    return section("Formats and bytes", element("div", *cards, class_="grid")) if cards else None


def captions(document: dict[str, Any]) -> Markup | None:
    """How long captions are, and in which scripts."""
    found = document["captions"]
    if found is None:
        return None
    length = found["length"]
    cards = []
    if length["count"]:
        series = [Series("captions", list(length["histogram"].values()))]
        labels = list(length["histogram"])
        cards.append(
            figure(
                "Length in characters",
                column_chart(series, [_first(label) for label in labels], "Captions by their length"),
                series,
                labels,
                note=f"{length['least']:,} to {length['largest']:,} characters, median"
                f" {length['median']:,}; without a caption: {counted(found['without'], 'image')}",
                first="characters",
            )
        )
        cards.append(_card("Scripts", _bars(found["scripts"], "script")))
    else:
        cards.append(_card("Captions", element("p", "No image has a caption.")))
    return section("Captions", element("div", *cards, class_="grid"))


def duplicates(document: dict[str, Any]) -> Markup | None:
    """What is there more than once."""
    found = document["duplicates"]
    rows = []
    if found["by_url"]["count"]:
        rows.append(("rows by URL", *_repetition(found["by_url"])))
    if found["by_hash"] is not None and found["by_hash"]["count"]:
        rows.append((f"images by {found['by_hash']['column']}", *_repetition(found["by_hash"])))
    if not rows:
        return None
    head = ("", "count", "different", "repeated", "share", "most often")
    note = None
    if found["by_hash"] is None:
        note = element(
            "p",
            "Without a column of hashes, equal images under different URLs are not known (",
            element("code", "--compute_hash sha256"),
            ").",
            class_="faint small",
        )
    return section("Duplicates", element("div", table(head, rows), note, class_="card"))


def _repetition(found: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{found['count']:,}",
        f"{found['different']:,}",
        f"{found['repeated']:,}",
        share(found["repeated"], found["count"]),
        f"{found['most_times']:,} times",
    )
