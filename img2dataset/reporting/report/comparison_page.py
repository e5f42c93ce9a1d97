"""``comparison.html``: the document of a comparison comes in, one file of HTML goes out. Pure."""

from __future__ import annotations

from typing import Any

from img2dataset.counted import counted
from img2dataset.reporting.page import Markup, element, whole_page
from img2dataset.reporting.page.charts import bar, share, table
from img2dataset.reporting.page.markup import join
from img2dataset.reporting.report.sections_of_rows import tile
from img2dataset.reporting.report.wording import section, time_text


def comparison_page(document: dict[str, Any]) -> str:
    """The page of a comparison."""
    before, after = document["before"], document["after"]
    body = join(
        element(
            "header",
            element(
                "h1",
                element("code", before["output_folder"]),
                " and ",
                element("code", after["output_folder"]),
            ),
            element(
                "p",
                f"Compared by {document['by']}, {time_text(document['made'])}, by img2dataset"
                f" {document['img2dataset']}",
                class_="faint",
            ),
        ),
        element(
            "main",
            _totals(document),
            _group("Rotted: images before, failures after", document["rotted"], document["rows_in_both"]),
            _group(
                "Came back: failures before, images after", document["came_back"], document["rows_in_both"]
            ),
            _changed(document["changed"]),
        ),
    )
    return whole_page(f"{after['output_folder']} – img2dataset comparison", body)


def _totals(document: dict[str, Any]) -> Markup | None:
    before, after = document["before"], document["after"]
    images = document["kept"] + document["rotted"]["rows"]
    changed = document["changed"]
    tiles = [
        tile("rows before", f"{before['rows']:,}", f"{before['different_rows']:,} different"),
        tile("rows after", f"{after['rows']:,}", f"{after['different_rows']:,} different"),
        tile("in both", f"{document['rows_in_both']:,}"),
        tile("images in both", f"{document['kept']:,}", share(document["kept"], images), "good"),
        tile("rotted", f"{document['rotted']['rows']:,}", share(document["rotted"]["rows"], images), "bad"),
        tile("came back", f"{document['came_back']['rows']:,}", colour="good"),
        tile("failed in both", f"{document['failed_in_both']:,}"),
        tile("only before", f"{document['only_before']:,}"),
        tile("only after", f"{document['only_after']:,}"),
    ]
    if changed["compared"]:
        tiles.append(
            tile("bytes changed", f"{changed['rows']:,}", share(changed["rows"], changed["compared"]))
        )
    return section("Totals", element("dl", *tiles, class_="tiles"))


def _group(title: str, found: dict[str, Any], whole: int) -> Markup | None:
    if not found["rows"]:
        return section(title, element("p", "No row.", class_="faint"))
    most = max(found["messages"].values())
    rows = [
        (message, f"{count:,}", share(count, whole), bar(count / most, "fill-1"))
        for message, count in found["messages"].items()
    ]
    return section(
        title,
        element(
            "div",
            table(("failure", "rows", "of both", ""), rows),
            _examples(found["examples"]),
            class_="card",
        ),
    )


def _changed(found: dict[str, Any]) -> Markup | None:
    if found["hash_column"] is None:
        text = "Not known: the folders have no column of the same hash (--compute_hash)."
        return section("Changed bytes", element("p", text, class_="faint"))
    text = f"{found['rows']:,} of {counted(found['compared'], 'image')} have another {found['hash_column']}."
    return section(
        "Changed bytes", element("div", element("p", text), _examples(found["examples"]), class_="card")
    )


def _examples(examples: list[str]) -> Markup | None:
    if not examples:
        return None
    items = (element("li", example, dir="ltr") for example in examples)
    return join(element("p", "Some of them:", class_="faint small"), element("ul", *items, class_="urls"))
