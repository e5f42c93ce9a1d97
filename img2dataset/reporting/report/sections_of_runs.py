"""Parts of a report's page: timing, consent and manners, runs with their options. Document in, markup out."""

from __future__ import annotations

from typing import Any

from img2dataset.counted import counted
from img2dataset.reporting.page import Markup, element
from img2dataset.reporting.page.charts import bar, share, table
from img2dataset.reporting.report.wording import bytes_text, duration_text, section, time_text

_WAITED_FOR = {
    "network": "downloads under way",
    "names": "names of hosts",
    "hosts": "hosts that take no more at once",
    "last answers": "the last answers of a list",
    "store": "the store of the output folder",
    "list": "rows of the list",
}


def timing(document: dict[str, Any]) -> Markup | None:
    """What the workers waited for."""
    found = document["timing"]
    if found is None:
        return None
    whole = found["worker_s"]
    waited = sorted(found["waited_s"].items(), key=lambda item: -item[1])
    at_work = max(0.0, whole - sum(seconds for _, seconds in waited))
    rows = [("making images", at_work), *((_WAITED_FOR.get(name, name), seconds) for name, seconds in waited)]
    most = max((seconds for _, seconds in rows), default=1) or 1
    each = f"{found['cpu_s'] * 1000 / found['rows']:.1f} ms of CPU a row; " if found["rows"] else ""
    return section(
        "Timing",
        element(
            "div",
            table(
                ("workers were", "time", "share", ""),
                [
                    (
                        name if not position else f"waiting for {name}",
                        duration_text(seconds),
                        share(seconds, whole),
                        bar(seconds / most),
                    )
                    for position, (name, seconds) in enumerate(rows)
                ],
            ),
            element(
                "p",
                f"{duration_text(whole)} over all workers, of {counted(found['rows'], 'row')} that the log"
                f" knows; {each}up to {bytes_text(found['memory'])} of memory a process",
                class_="faint small",
            ),
            class_="card",
        ),
    )


def consent(document: dict[str, Any]) -> Markup | None:
    """Who did not want its images taken, and who asked for fewer requests."""
    found = document["consent"]
    rows = document["totals"]["rows"]
    cards = [_opt_out(opt_out, rows) for opt_out in found["opt_outs"]]
    if found["prices"]:
        sums = [
            (f"{currency} {price['sum']}", f"{price['rows']:,}")
            for currency, price in found["prices"].items()
        ]
        paid = element("p", "Sites that want to be paid (402): nothing was paid, and nothing taken.")
        cards.append(
            element(
                "div", element("h3", "Prices asked"), paid, table(("in all", "rows"), sums), class_="card"
            )
        )
    if found["limited"]["rows"]:
        cards.append(
            element(
                "div",
                element("h3", "Hosts that limited (429, 503)"),
                element("p", f"{counted(found['limited']['rows'], 'row')} failed of it in the end"),
                table(
                    ("host", "rows"),
                    [(host, f"{count:,}") for host, count in found["limited"]["hosts"].items()],
                ),
                class_="card",
            )
        )
    if not cards:
        return section(
            "Consent and manners",
            element("p", "No row was left out for an opt-out, and no host had to limit.", class_="faint"),
        )
    return section("Consent and manners", element("div", *cards, class_="grid"))


def _opt_out(opt_out: dict[str, Any], rows: int) -> Markup:
    by_host = [(host, f"{count:,}") for host, count in opt_out["hosts"].items()]
    return element(
        "div",
        element("h3", f"Opt-outs honoured: {opt_out['signal']}"),
        element("p", f"{counted(opt_out['rows'], 'row')}, {share(opt_out['rows'], rows)} of all"),
        table(("host", "rows"), by_host) if by_host else None,
        class_="card",
    )


def runs(document: dict[str, Any]) -> Markup | None:
    """What the folder was made with."""
    cards = [_run(run) for run in reversed(document["runs"])]
    found = document["surroundings"]
    if found is not None:
        rows = [
            ("img2dataset", found["version"]),
            ("Python", found["python"]),
            ("machine", f"{found['host']}, {counted(found['cores'], 'core')}, {bytes_text(found['memory'])}"),
            ("engine", f"{found['engine']}, {counted(found['processes'], 'process', 'processes')}"),
            ("name servers", ", ".join(found["name_servers"]) or "none"),
            *((f"--{name}", value) for name, value in found["options"].items()),
        ]
        cards.insert(0, element("div", element("h3", "The last program"), _plain_table(rows), class_="card"))
    if not cards:
        return section(
            "Versions and options",
            element("p", "The folder has no record of them: another program made it.", class_="faint"),
        )
    return section("Versions and options", element("div", *cards, class_="grid"))


def _run(run: dict[str, Any]) -> Markup:
    versions = ", ".join(f"{name} {version}" for name, version in run["packages"].items())
    rows = [
        ("list", run["url_list"] or "not known"),
        ("began", time_text(run["started"])),
        ("every shard made", time_text(run["ended"]) if run["ended"] is not None else "not yet"),
        ("mode", run["mode"]),
        ("first shard", run["first_shard"]),
        ("img2dataset", f"{run['version']}, Python {run['python']}"),
        ("packages", versions),
    ]
    options = [(f"--{name}", value) for name, value in run["options"].items()]
    return element(
        "div",
        element("h3", f"Record of shards from {run['first_shard']:,} on"),
        _plain_table(rows),
        element("details", element("summary", "options that shape the output"), _plain_table(options)),
        class_="card",
    )


def _plain_table(rows: list[tuple[str, Any]]) -> Markup:
    lines = (
        element("tr", element("th", name, scope="row"), element("td", str(value))) for name, value in rows
    )
    return element("table", element("tbody", *lines))
