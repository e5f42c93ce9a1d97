"""The document of a run → a page for Prometheus, in its text format, version 0.0.4. Pure; for ``server``.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "img2dataset_"
Sample = tuple[Mapping[str, str], float]


def metrics_page(view: Mapping[str, Any]) -> str:
    """The metrics of a run.

    Args:
        view: what ``view_of`` gives; what is not known is left out.
    """
    rows, shards = view.get("rows", {}), view.get("shards", {})
    state = view.get("state")
    found = [
        _family("rows_total", "counter", "rows done, by status", _by(rows, "status", _STATUSES)),
        _one("list_rows", "gauge", "rows of the list", rows.get("of_list")),
        _family(
            "shards_total", "counter", "shards, by how they ended", _by(shards, "result", ("done", "failed"))
        ),
        _one("shards_open", "gauge", "shards that are being made", view.get("shards_open")),
        _one("folder_shards", "gauge", "finished shards in the output folder", view.get("shards_in_folder")),
        _family(
            "failures_total",
            "counter",
            "rows of finished shards that failed, by reason",
            [({"reason": each["message"]}, each["rows"]) for each in view.get("failures", [])],
        ),
        _family(
            "host_failed_rows_total",
            "counter",
            "rows of finished shards that were not downloaded, of the hosts with the most",
            [({"host": each["host"]}, each["failed"]) for each in view.get("hosts", [])],
        ),
        _one("downloaded_bytes_total", "counter", "bytes of bodies downloaded", view.get("bytes_in")),
        _one("images_bytes_total", "counter", "bytes of images written", view.get("bytes_out")),
        _one("rows_per_second", "gauge", "rows a second of late", view.get("rows_per_second")),
        _one("cores", "gauge", "cores in use of late", view.get("cores_used")),
        _one("memory_bytes", "gauge", "bytes of memory in use", view.get("memory")),
        _one("start_time_seconds", "gauge", "when the run began", view.get("began")),
        _one("last_event_time_seconds", "gauge", "when the run last told of itself", view.get("heard")),
        _family(
            "members",
            "gauge",
            "programs that make shards, by state",
            _counted(member["state"] for member in view.get("members", [])),
        ),
        _one("running", "gauge", "whether the run is at work", float(state == "running")),
    ]
    return "".join(family for family in found if family)


_STATUSES = ("success", "failed_to_download", "failed_to_resize")


def _by(values: Mapping[str, Any], label: str, names: Iterable[str]) -> list[Sample]:
    return [({label: name}, values[name]) for name in names if name in values]


def _counted(states: Iterable[str]) -> list[Sample]:
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return [({"state": state}, count) for state, count in sorted(counts.items())]


def _one(name: str, kind: str, what: str, value: float | None) -> str:
    return _family(name, kind, what, [] if value is None else [({}, value)])


def _family(name: str, kind: str, what: str, samples: Iterable[Sample]) -> str:
    lines = [f"{_PREFIX}{name}{_labels(labels)} {float(value)!r}\n" for labels, value in samples]
    if not lines:
        return ""
    return f"# HELP {_PREFIX}{name} {what}\n# TYPE {_PREFIX}{name} {kind}\n{''.join(lines)}"


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{written}}}" if written else ""


def _escaped(value: str) -> str:
    # A lone surrogate, which a list may have, is no UTF-8.
    text = value.encode("utf-8", "replace").decode()
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
