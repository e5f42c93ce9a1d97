"""Parts of a report's page: totals, findings, throughput, failures, hosts. Document in, markup out."""

from __future__ import annotations

from typing import Any

from img2dataset.counted import counted
from img2dataset.reporting.page import Markup, element
from img2dataset.reporting.page.charts import Series, bar, figure, line_chart, share, table
from img2dataset.reporting.page.markup import join
from img2dataset.reporting.report.wording import bytes_text, duration_text, section, time_text


def tile(name: str, value: object, more: str | None = None, colour: str | None = None) -> Markup:
    """One number with its name."""
    return element(
        "div",
        element("dt", name),
        element("dd", value, class_=colour),
        element("dd", more, class_="more") if more else None,
        class_="tile",
    )


def totals(document: dict[str, Any]) -> Markup | None:
    """The counts of the whole folder."""
    found, read = document["totals"], document["read"]
    rows = found["rows"]
    stored, images = sum(document["bytes"]["files"].values()), document["bytes"]["images"] or 0
    if stored < images:  # those of the format ``files`` lie in folders, which are not listed
        stored += images
    tiles = [
        tile("rows", f"{rows:,}", f"in {counted(read['statistics_read'], 'shard')}"),
        tile("images", f"{found['successes']:,}", share(found["successes"], rows), "good"),
        tile(
            "failed to download", f"{found['failed_to_download']:,}", share(found["failed_to_download"], rows)
        ),
        tile("failed to resize", f"{found['failed_to_resize']:,}", share(found["failed_to_resize"], rows)),
        tile(
            "time making shards",
            duration_text(found["seconds_at_work"]),
            f"{found['rows_per_second']:,} rows/s" if found["rows_per_second"] else None,
        ),
    ]
    if stored:
        each = f"{bytes_text(stored / found['successes'])} an image" if found["successes"] else None
        tiles.append(tile("in the folder", bytes_text(stored), each))
    if document["bytes"]["downloaded"]:
        tiles.append(tile("downloaded", bytes_text(document["bytes"]["downloaded"])))
    if found["shards_failed"]:
        tiles.append(tile("shards that failed", f"{found['shards_failed']:,}", colour="bad"))
    return section("Totals", element("dl", *tiles, class_="tiles"))


def findings(document: dict[str, Any]) -> Markup | None:
    """What there is to say of it, and what to do."""
    items = [
        element(
            "li",
            element("h3", finding["title"]),
            element("p", finding["cause"]),
            element("p", element("strong", "What to do: "), finding["remedy"]),
            element("p", "More in ", element("code", finding["page"]), class_="faint small"),
            class_="card",
        )
        for finding in document["findings"]
    ]
    if not items:
        return section("Findings", element("p", "Nothing stands out.", class_="faint"))
    return section("Findings", element("ul", *items, class_="findings"))


def throughput(document: dict[str, Any]) -> Markup | None:
    """Rows and images over time."""
    found = document["throughput"]
    if found is None or not document["totals"]["rows"]:
        return None
    steps = len(found["rows_per_second"])
    labels = [duration_text(step * found["step_s"]) for step in range(steps)]
    series = [Series("rows", found["rows_per_second"]), Series("images", found["images_per_second"])]
    shares = Series(
        "images of rows, %",
        [
            100 * images / rows if rows else None
            for rows, images in zip(found["rows_per_second"], found["images_per_second"], strict=True)
        ],
    )
    note = f"{time_text(found['began'])} to {time_text(found['ended'])}"
    if found["pauses"]:
        note += f"; {counted(found['pauses'], 'pause')} left out"
    return section(
        "Throughput",
        element(
            "div",
            figure(
                "Rows and images a second",
                line_chart(series, labels, "Rows and images a second over the time at work"),
                series,
                labels,
                note=note,
                first="after",
            ),
            figure(
                "Share of rows that became images",
                line_chart(
                    [shares],
                    labels,
                    "Images as a share of rows over the time at work",
                    lambda value: f"{value:.0f} %",
                    top=100,
                ),
                [shares],
                labels,
                note="Rows count evenly over the time of their shard.",
                first="after",
            ),
            class_="grid",
        ),
    )


def failures(document: dict[str, Any]) -> Markup | None:
    """Rows by what they failed of, with URLs to look at."""
    rows = document["totals"]["rows"]
    found = document["failures"]
    if not found:
        return section("Failures", element("p", "No row failed.", class_="faint"))
    most = max(failure["rows"] for failure in found)
    body = [
        (
            join(
                "other messages" if failure["message"] is None else failure["message"],
                element("ul", *(element("li", url, dir="ltr") for url in failure["urls"]), class_="urls")
                if failure["urls"]
                else None,
            ),
            f"{failure['rows']:,}",
            share(failure["rows"], rows),
            bar(failure["rows"] / most, "fill-1"),
        )
        for failure in found
    ]
    return section(
        "Failures",
        element("div", table(("failure, with examples", "rows", "of all", ""), body), class_="card"),
    )


def hosts(document: dict[str, Any]) -> Markup | None:
    """The hosts with the most rows, and with the most failures."""
    found = document["hosts"]
    if not found["count"]:
        return None
    rows = document["read"]["rows_read"]
    most = [
        (
            host["host"] or "no host",
            f"{host['rows']:,}",
            share(host["rows"], rows),
            share(host["successes"], host["rows"]),
        )
        for host in found["most"]
    ]
    worst = [
        (
            join(
                host["host"] or "no host",
                element(
                    "ul",
                    *(element("li", f"{count:,} {message}") for message, count in host["failures"].items()),
                    class_="urls",
                ),
            ),
            f"{host['failed_to_download']:,}",
            share(host["failed_to_download"], host["rows"]),
        )
        for host in found["worst"]
    ]
    return section(
        "Hosts",
        element("p", f"{counted(found['count'], 'host')} in all.", class_="faint"),
        element(
            "div",
            element(
                "div",
                element("h3", "With most rows"),
                table(("host", "rows", "of all", "became images"), most),
                class_="card",
            ),
            element(
                "div",
                element("h3", "With most failed downloads"),
                table(("host", "failed", "of its rows"), worst),
                class_="card",
            )
            if worst
            else None,
            class_="grid",
        ),
    )
