"""Output folders for reports: of the command line over a web that misbehaves, and made up shard by shard."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.pictures import photograph
from tests.servers import ImageServer

# What strangers write into captions: each must be seen as it stands.
HOSTILE = (
    "<script>document.title='broken'</script>",
    "<img src=x onerror=\"document.title='broken'\">",
    "</table></main></dialog></template><h1 id=intruder>intruder</h1>",
    "\x1b[31mred\x1b[0m\x07 \u202egnp.exe",
    "&lt;not escaped twice&gt; $title ${body} {0} %s",
    "a ' quote \" and `ticks`",
)
CAPTIONS = ("A red bicycle", "Кошка на окне", "猫が座っている", *HOSTILE, "")


def misbehaving_rows(server: ImageServer, count: int) -> list[list[str]]:
    """Rows of a list: two thirds are pictures, a third fails in every way that costs no time."""
    pictures = [
        server.put(f"/p/{n}.jpg", photograph(160 + 40 * n, 120 + 30 * (n % 3), seed=n)) for n in range(9)
    ]
    html = server.put("/page", b"<html>no hotlinks</html>", "text/html")
    tagged = server.put("/tagged.jpg", photograph(80, 80), headers=[("X-Robots-Tag", "noai")])
    failing = (
        *(server.url("/status/404", host=7), server.url("/status/403", host=8), html, tagged),
        *("http://127.0.0.1:1/refused.jpg", "http://no-such-name.invalid/a.jpg"),
        "http://<script>document.title='broken'</script>/x.png",
        server.url("/status/404/<b onclick=alert(1)>'\""),
    )
    rows = []
    for number in range(count):
        if number % 3:
            url = f"{pictures[number % len(pictures)]}?{number}"
        else:
            url = f"{failing[number // 3 % len(failing)]}?{number}"
        rows.append([url, CAPTIONS[number % len(CAPTIONS)], f"author {number}\"'><script>"])
    rows[-1] = rows[-2] = rows[1]
    return rows


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["url", "caption", "author"])
        writer.writerows(rows)
    return path


def write_shard(folder: Path, number: int, columns: dict[str, Any], began: float = 1000.0) -> None:
    """A finished shard of metadata and statistics alone, of 10 seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    pq.write_table(table, folder / f"{number:05d}.parquet")
    statuses = table["status"].to_pylist()
    messages = table["error_message"].to_pylist()
    status_dict: dict[str, int] = {}
    for status, message in zip(statuses, messages, strict=True):
        name = "success" if status == "success" else message
        status_dict[name] = status_dict.get(name, 0) + 1
    statistics = {
        "count": len(statuses),
        "successes": statuses.count("success"),
        "failed_to_download": statuses.count("failed_to_download"),
        "failed_to_resize": statuses.count("failed_to_resize"),
        "duration": 10.0,
        "start_time": began,
        "end_time": began + 10,
        "status_dict": status_dict,
    }
    (folder / f"{number:05d}_stats.json").write_text(json.dumps(statistics))


def rows_of(urls: list[str], failures: dict[str, str] | None = None, **columns: list[Any]) -> dict[str, Any]:
    """The columns of a shard over these URLs, of which some fail to download."""
    failures = failures or {}
    return {
        "url": urls,
        "key": [f"{number:09d}" for number in range(len(urls))],
        "status": ["failed_to_download" if url in failures else "success" for url in urls],
        "error_message": [failures.get(url) for url in urls],
        **columns,
    }
