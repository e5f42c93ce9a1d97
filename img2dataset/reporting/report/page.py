"""``report.html``: the document of a report and its thumbnails come in, one file of HTML goes out.

Pure. Every number is the document's. What the page may load is in it: ``page.whole_page`` sees to that.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from img2dataset.counted import counted
from img2dataset.reporting.page import Markup, element, whole_page
from img2dataset.reporting.page.markup import join
from img2dataset.reporting.page.whole import asset
from img2dataset.reporting.report.sections_of_images import captions, duplicates, formats, sizes
from img2dataset.reporting.report.sections_of_rows import failures, findings, hosts, throughput, totals
from img2dataset.reporting.report.sections_of_runs import consent, runs, timing
from img2dataset.reporting.report.thumbnails import Thumbnail
from img2dataset.reporting.report.wording import section, time_text

# A page that is larger shows fewer images.
MOST_BYTES = 950_000


def report_page(document: dict[str, Any], thumbnails: Sequence[Thumbnail | None]) -> str:
    """The page of a report.

    Args:
        document: of ``report_document``.
        thumbnails: one for each image of its sample.
    """
    shown = len(thumbnails)
    while True:
        page = _page(document, thumbnails[:shown])
        if len(page.encode()) <= MOST_BYTES or not shown:
            return page
        shown = shown * 3 // 4


def _page(document: dict[str, Any], thumbnails: Sequence[Thumbnail | None]) -> str:
    body = join(
        _header(document),
        element(
            "main",
            _partial(document),
            totals(document),
            findings(document),
            throughput(document),
            failures(document),
            hosts(document),
            sizes(document),
            formats(document),
            captions(document),
            duplicates(document),
            _sheet(document, thumbnails),
            timing(document),
            consent(document),
            runs(document),
        ),
        _dialog() if any(thumbnails) else None,
    )
    package = "img2dataset.reporting.report"
    return whole_page(
        f"{document['output_folder']} – img2dataset report",
        body,
        asset("sheet.js", package) if any(thumbnails) else "",
        asset("report.css", package),
    )


def _header(document: dict[str, Any]) -> Markup:
    return element(
        "header",
        element("h1", "Report of ", element("code", document["output_folder"])),
        element(
            "p",
            f"Made {time_text(document['made'])} by img2dataset {document['img2dataset']}",
            join(" from the list ", element("code", document["url_list"])) if document["url_list"] else None,
            class_="faint",
        ),
    )


def _partial(document: dict[str, Any]) -> Markup | None:
    read = document["read"]
    told = []
    if read["statistics_read"] + read["statistics_unreadable"] < read["shards_done"]:
        told.append(
            f"The folder has {counted(read['shards_done'], 'shard')}; the numbers are of"
            f" {read['statistics_read']:,} of them, chosen by a seed."
        )
    if read["rows_read"] < document["totals"]["rows"]:
        told.append(
            f"What comes from the columns of metadata (hosts, sizes, captions, duplicates) is of"
            f" {counted(read['rows_read'], 'row')} in {counted(read['metadata_read'], 'shard')}"
            f" of {document['totals']['rows']:,}."
            if read["rows_read"]
            else "There are no metadata: hosts, sizes, captions and duplicates are not known."
        )
    broken = read["statistics_unreadable"] + read["metadata_unreadable"]
    if broken:
        told.append(f"{counted(broken, 'file')} could not be read; img2dataset verify says more.")
    return element("p", " ".join(told), class_="card note") if told else None


def _sheet(document: dict[str, Any], thumbnails: Sequence[Thumbnail | None]) -> Markup | None:
    cells = [
        _cell(row, thumbnail)
        for row, thumbnail in zip(document["sample"], thumbnails, strict=False)
        if thumbnail is not None
    ]
    if not cells:
        return None
    return section(
        "Sample images",
        element(
            "p",
            f"{counted(len(cells), 'image')}, chosen by a seed; each opens with its metadata.",
            class_="faint",
        ),
        element("ul", *cells, class_="sheet"),
    )


def _cell(row: dict[str, Any], thumbnail: Thumbnail) -> Markup:
    data = base64.b64encode(thumbnail.image).decode()
    image = element(
        "img",
        src=f"data:image/webp;base64,{data}",
        alt=str(row["row"].get("caption") or f"image {row['key']}")[:120],
        width=thumbnail.width,
        height=thumbnail.height,
        loading="lazy",
    )
    values = {"key": row["key"], "bytes stored": f"{row['bytes']:,}", **row["row"]}
    facts = element(
        "template",
        element(
            "table",
            element(
                "tbody",
                *(
                    element("tr", element("th", name, scope="row"), element("td", str(value), dir="auto"))
                    for name, value in values.items()
                ),
            ),
        ),
    )
    return element("li", element("button", image, type="button", aria_haspopup="dialog"), facts)


def _dialog() -> Markup:
    return element(
        "dialog",
        element(
            "nav",
            element("button", "← before", type="button", class_="before"),
            element("button", "after →", type="button", class_="after"),
            element("span", class_="place faint", aria_live="polite"),
            element("button", "close", type="button", class_="close"),
        ),
        element("img", alt=""),
        element("div", class_="facts"),
        id="sample",
        aria_label="Image and its metadata",
    )
