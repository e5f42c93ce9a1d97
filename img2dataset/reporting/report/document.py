"""A report as JSON values: what was gathered comes in, the document of ``report.json`` goes out.

docs/report.md says what its keys are; the page shows this document and nothing else, so that both have the
same numbers. Texts of strangers are in it as they are, cut to a bound.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from img2dataset import failures
from img2dataset.manifest import RunRecord
from img2dataset.reporting.report.columns import RATIO_NAMES, Sizes
from img2dataset.reporting.report.former_messages import failure_of
from img2dataset.reporting.report.gathering import Gathered, Repetition
from img2dataset.reporting.report.sample import SampleImage
from img2dataset.reporting.report.throughput import throughput_of
from img2dataset.shown_names import shown_name
from img2dataset.version import __version__

REPORT_VERSION = 1
MOST_FAILURES, MOST_HOSTS, MOST_TROUBLES, MOST_ENDINGS, MOST_SCRIPTS = 40, 20, 4, 8, 12
MOST_RUNS, MOST_COLUMNS = 10, 40
LONGEST_TEXT = 300
SIDE_BOUNDS = (64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096)
LENGTH_BOUNDS = (10, 20, 40, 60, 80, 100, 150, 200, 300, 500)
# What a host that limits answers with.
_LIMITING = ("HTTP 429", "HTTP 503")
_OPT_OUT = "opt-out: "
_STARTS = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG")),
    ("WebP", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("GIF", re.compile(rb"GIF8")),
    ("AVIF", re.compile(rb"....ftypavi[fs]", re.DOTALL)),
    ("TIFF", re.compile(rb"II\*\0|MM\0\*")),
    ("BMP", re.compile(rb"BM")),
)


def report_document(
    gathered: Gathered, sample: Sequence[SampleImage], made: float | None = None
) -> dict[str, Any]:
    """The whole document.

    Args:
        gathered: what is known of the folder.
        sample: images that the page shows; their rows are in the document.
        made: when, Unix seconds; None: now.
    """
    statistics, counts = gathered.statistics, gathered.counts
    facts = gathered.facts
    throughput = throughput_of(statistics.each)
    return {
        "report_version": REPORT_VERSION,
        "made": round(time.time() if made is None else made, 3),
        "img2dataset": __version__,
        "output_folder": cut(shown_name(gathered.folder.location.name)),
        "url_list": _cut_if_known(gathered.runs[-1].url_list) if gathered.runs else None,
        "read": {
            "shards_done": len(gathered.folder.shards),
            "statistics_read": len(statistics.each),
            "statistics_unreadable": statistics.unreadable,
            "metadata_read": len(gathered.with_metadata),
            "metadata_unreadable": gathered.unreadable_metadata,
            "rows_read": counts.rows,
        },
        "totals": {
            "rows": facts.count,
            "successes": facts.successes,
            "failed_to_download": facts.failed_to_download,
            "failed_to_resize": facts.failed_to_resize,
            "shards_failed": facts.failed_shards,
            "seconds_at_work": round(throughput.at_work_s, 3) if throughput is not None else None,
            "rows_per_second": _rate(facts.count, throughput.at_work_s if throughput is not None else 0),
        },
        "findings": [finding.to_document() for finding in gathered.findings()],
        "throughput": throughput.to_document() if throughput is not None else None,
        "failures": _failures(statistics.messages, counts.examples),
        "hosts": _hosts(gathered),
        "images": {"before": _sizes(counts.before), "after": _sizes(counts.after)},
        "formats": _formats(gathered, sample),
        "bytes": _bytes(gathered),
        "captions": _captions(gathered),
        "duplicates": {
            "by_url": _repetition(gathered.by_url),
            "by_hash": {"column": counts.hash_column, **_repetition(gathered.by_image)}
            if counts.hash_column is not None
            else None,
        },
        "timing": _timing(gathered),
        "consent": _consent(gathered),
        "runs": [_run(run) for run in gathered.runs[-MOST_RUNS:]],
        "surroundings": _surroundings(gathered),
        "sample": [_row(image) for image in sample],
    }


def cut(value: object, longest: int = LONGEST_TEXT) -> str:
    """A text of bounded length."""
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _cut_if_known(text: str | None) -> str | None:
    return None if text is None else cut(text)


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 1) if seconds > 0 else None


def _most(counter: Mapping[str, int], most: int) -> dict[str, int]:
    return {cut(name): rows for name, rows in Counter(counter).most_common(most)}


def _failures(messages: Counter[str], examples: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    failed = [(message, rows) for message, rows in messages.most_common() if message != "success" and rows]
    rest = failed[MOST_FAILURES:]
    found = [
        {
            "message": cut(message),
            "rows": rows,
            "urls": [cut(url) for url in examples.get(message, ())],
        }
        for message, rows in failed[:MOST_FAILURES]
    ]
    if rest:
        found.append({"message": None, "rows": sum(rows for _, rows in rest), "urls": []})
    return found


def _hosts(gathered: Gathered) -> dict[str, Any]:
    counts = gathered.counts

    def host_document(host: str) -> dict[str, Any]:
        troubles = counts.troubles.get(host, Counter())
        return {
            "host": cut(host),
            "rows": counts.hosts.get(host, troubles.total()),
            "successes": counts.host_successes.get(host, 0),
            "failed_to_download": troubles.total(),
            "failures": _most(troubles, MOST_TROUBLES),
        }

    worst = sorted(counts.troubles.items(), key=lambda item: (-item[1].total(), item[0]))
    return {
        "count": len(counts.hosts),
        "most": [host_document(host) for host, _ in counts.hosts.most_common(MOST_HOSTS)],
        "worst": [host_document(host) for host, _ in worst[:MOST_HOSTS]],
    }


def _sizes(sizes: Sizes) -> dict[str, Any]:
    found: dict[str, Any] = {"longer_side": sizes.sides.to_document(SIDE_BOUNDS)}
    if found["longer_side"]["count"]:
        found["width_over_height"] = dict(zip(RATIO_NAMES, sizes.ratios, strict=True))
        found["pixels"] = sizes.pixels
    return found


def _formats(gathered: Gathered, sample: Sequence[SampleImage]) -> dict[str, Any]:
    data_format = gathered.folder.format
    return {
        "output_format": data_format.name if data_format is not None else None,
        "stored_in_sample": dict(Counter(map(_format_of, sample)).most_common()),
        "url_endings": _most(
            {ending or "none": rows for ending, rows in gathered.counts.endings.items()}, MOST_ENDINGS
        ),
        "not_images": _most(gathered.of_logs.not_images, MOST_ENDINGS),
    }


def _format_of(image: SampleImage) -> str:
    """What an image is stored as, by its first bytes."""
    return next((name for name, start in _STARTS if start.match(image.image)), "other")


def _bytes(gathered: Gathered) -> dict[str, Any]:
    of_data: Counter[str] = Counter()
    shards = set(gathered.folder.shards)
    for name, size in gathered.folder.sizes.items():
        shard = name.split(".", 1)[0].split("_", 1)[0]
        if shard in shards and size:
            of_data[name[len(shard) :]] += size
    return {
        "downloaded": gathered.of_logs.bytes_in or None,
        "images": gathered.of_logs.bytes_out or None,
        "files": dict(of_data.most_common()),
    }


def _captions(gathered: Gathered) -> dict[str, Any] | None:
    counts = gathered.counts
    if not counts.has_captions:
        return None
    return {
        "without": counts.without_caption,
        "length": counts.captions.to_document(LENGTH_BOUNDS),
        "scripts": _most(counts.scripts, MOST_SCRIPTS),
    }


def _repetition(repetition: Repetition) -> dict[str, Any]:
    return {
        "count": repetition.count,
        "different": repetition.different,
        "repeated": repetition.more_than_once,
        "most_times": repetition.most_times,
    }


def _timing(gathered: Gathered) -> dict[str, Any] | None:
    logged = gathered.of_logs
    if not logged.worker_s:
        return None
    return {
        "rows": logged.measured,
        "worker_s": round(logged.worker_s, 3),
        "cpu_s": round(logged.cpu_s, 3),
        "waited_s": {name: round(seconds, 3) for name, seconds in logged.waited_s.items()},
        "memory": logged.memory,
    }


def _consent(gathered: Gathered) -> dict[str, Any]:
    signals: dict[str, Counter[str]] = {}
    limited: Counter[str] = Counter()
    for host, messages in gathered.counts.troubles.items():
        for message, rows in messages.items():
            failure = failure_of(message)
            if failure.startswith(_OPT_OUT):
                signals.setdefault(failure.removeprefix(_OPT_OUT), Counter())[host] += rows
            elif failure in _LIMITING:
                limited[host] += rows
    refused = Counter(
        {message: rows for message, rows in gathered.facts.messages.items() if message.startswith(_OPT_OUT)}
    )
    return {
        "opt_outs": [
            {
                "signal": cut(message.removeprefix(_OPT_OUT)),
                "rows": rows,
                "hosts": _most(signals.get(message.removeprefix(_OPT_OUT), {}), MOST_HOSTS),
            }
            for message, rows in refused.most_common()
        ],
        "prices": {
            cut(currency): {"rows": rows, "sum": f"{total:f}"}
            for currency, (rows, total) in failures.prices_in(gathered.facts.messages).items()
        },
        "limited": {"rows": limited.total(), "hosts": _most(limited, MOST_HOSTS)},
    }


def _run(run: RunRecord) -> dict[str, Any]:
    return {
        "started": run.started,
        "ended": run.ended,
        "mode": run.mode,
        "url_list": _cut_if_known(run.url_list),
        "first_shard": run.first_shard_id,
        "version": run.version,
        "python": run.python,
        "packages": {name: cut(version, 40) for name, version in run.packages.items()},
        "options": {name: _plain(value) for name, value in run.options.items()},
    }


def _surroundings(gathered: Gathered) -> dict[str, Any] | None:
    if not gathered.logs:
        return None
    found = gathered.surroundings.to_document()
    found["options"] = {name: _plain(value) for name, value in found["options"].items()}
    found["name_servers"] = list(found["name_servers"])
    return found


def _plain(value: object) -> Any:
    """A number as it is, all else as text: JSON has no infinity, which options may be."""
    is_number = isinstance(value, (bool, int, float)) and math.isfinite(value)
    return value if value is None or is_number else cut(value)


def _row(image: SampleImage) -> dict[str, Any]:
    """A sample's row, each value as text that fits."""
    values = list(image.row.items())[:MOST_COLUMNS]
    return {"key": image.key, "bytes": len(image.image)} | {
        "row": {cut(name, 60): _plain(value) for name, value in values if value is not None}
    }
