"""Runs calls of ``img2dataset`` over lists on loopback, and says what each did.

JSON in, a line of JSON a call out. Run by ``calls.py`` and the tests under the Python of either program; it
imports nothing of this repository but ``img2dataset``, and of that only what 1.47.0 had.
"""

from __future__ import annotations

import contextlib
import glob
import http.server
import json
import os
import shutil
import sys
import tarfile
import tempfile
import threading
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SIZES = ((400, 300), (300, 420), (120, 90), (640, 480))


def pictures() -> list[bytes]:
    """Smooth pictures, wide, tall, small and large."""
    made = []
    for number, (width, height) in enumerate(SIZES):
        small = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        made.append(cv2.imencode(".jpg", large)[1].tobytes())
    return made


class _Handler(http.server.BaseHTTPRequestHandler):
    bodies = pictures()

    def do_GET(self) -> None:
        body = self.bodies[int(self.path.split(".")[0].strip("/")) % len(self.bodies)]
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def write_lists(port: int) -> None:
    """Every input format, in the working folder: ``l.txt``, ``l.csv``, …, ``many/`` and empty lists."""
    import gzip
    import hashlib

    rows = [
        {
            "url": f"http://127.0.0.1:{port}/{number}.jpg",
            "caption": f"picture {number}",
            "number": number,
            "sha256": hashlib.sha256(_Handler.bodies[number]).hexdigest(),
            "md5": hashlib.md5(_Handler.bodies[number]).hexdigest(),
            "boxes": [[0.1, 0.1, 0.6, 0.5]],
        }
        for number in range(len(SIZES))
    ]
    table = pa.Table.from_pylist(rows)
    flat = [name for name in table.column_names if name != "boxes"]
    texts = {"txt": "".join(f"{row['url']}\n" for row in rows)}
    for kind, mark in (("csv", ","), ("tsv", "\t")):
        lines = [mark.join(flat), *(mark.join(str(row[name]) for name in flat) for row in rows)]
        texts[kind] = "".join(f"{line}\n" for line in lines)
    texts["json"] = json.dumps(rows)
    texts["jsonl"] = "".join(json.dumps(row) + "\n" for row in rows)
    os.makedirs("many", exist_ok=True)
    for kind, text in texts.items():
        with open(f"l.{kind}", "w") as file:
            file.write(text)
        with gzip.open(f"l.{kind}.gz", "wt") as packed:
            packed.write(text)
    for number in range(2):
        with open(f"many/{number}.csv", "w") as file:
            file.write(texts["csv"])
    pq.write_table(table, "l.parquet")
    with open("empty.csv", "w") as file:
        file.write("url,caption\n")
    pq.write_table(table.slice(0, 0), "empty.parquet")


def outcome(folder: str) -> dict[str, Any]:
    """What a call has left: names of files and members, columns, and the counts of the rows."""
    names, columns, counts = [], {}, {}
    for path in glob.glob(f"{folder}/**", recursive=True):
        name = os.path.relpath(path, folder)
        if not os.path.isfile(path):
            continue
        names.append(name)
        if name.endswith(".tar"):
            with tarfile.open(path) as tar:
                names += [f"{name}/{member}" for member in tar.getnames()]
        elif name.endswith(".parquet"):
            columns[name] = sorted(pq.read_schema(path).names)
        elif name.endswith("_stats.json"):
            with open(path) as file:
                stats = json.load(file)
            keys = ("count", "successes", "failed_to_download", "failed_to_resize")
            counts[name] = [stats[key] for key in keys]
        elif name.endswith(".json"):
            with open(path) as file:
                columns[name] = sorted(json.load(file))
    return {"files": sorted(names), "columns": columns, "counts": counts}


def run_call(call: dict[str, Any]) -> dict[str, Any]:
    """One call: ``python`` is an expression, ``words`` a command line; ``out`` the folder that it names."""
    import img2dataset

    shutil.rmtree("out", ignore_errors=True)
    shutil.rmtree("images", ignore_errors=True)
    accepted, said = True, ""
    try:
        for expression in call.get("python", ()):
            eval(expression, {"download": img2dataset.download, "np": np})
        if "words" in call:
            sys.argv = ["img2dataset", *call["words"]]
            img2dataset.main()
    except SystemExit as end:
        accepted = not end.code
    except Exception as error:  # whatever a program refuses a call with
        accepted, said = False, f"{type(error).__name__}: {error}"
    return {"accepted": accepted, "said": said[:200], **outcome(call.get("out", "out"))}


def main() -> None:
    """Calls on standard input, a list by name; their outcomes on a copy of standard output."""
    calls = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as quiet:
        os.chdir(folder)
        write_lists(server.server_port)
        with contextlib.redirect_stdout(quiet):
            for name, call in calls.items():
                print(json.dumps([name, run_call(call)]), file=answers, flush=True)
        os.chdir("/")
    server.shutdown()


if __name__ == "__main__":
    main()
