"""The main job, start to end, on this machine: photographs over http in, a webdataset out, and read back.

Run it with ``make demo``. It serves the photographs beside it on a loopback address, runs the command line
as a user would, and opens the result with the webdataset library.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import webdataset
from PIL import Image

HERE = Path(__file__).parent
OUTPUT = HERE.parents[1] / "demo_output"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps its log to itself."""

    def log_message(self, *arguments: object) -> None:
        pass


def serve_photographs() -> ThreadingHTTPServer:
    """Start a web server over the photographs, on a free port of the loopback address."""
    handler = partial(QuietHandler, directory=str(HERE / "photographs"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def write_url_list(port: int) -> Path:
    """Write the list the command line is given: one row a photograph, with its URL and caption."""
    path = OUTPUT / "list.csv"
    with open(HERE / "captions.csv", newline="") as source, open(path, "w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["url", "caption"])
        for row in csv.DictReader(source):
            writer.writerow([f"http://127.0.0.1:{port}/{row['file']}", row["caption"]])
    return path


def show_dataset(folder: Path) -> int:
    """Print each sample of the finished dataset; returns how many there are."""
    count = 0
    shards = sorted(str(path) for path in folder.glob("*.tar"))
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        image = Image.open(io.BytesIO(sample["jpg"]))
        image.load()
        metadata = json.loads(sample["json"])
        size = f"{metadata['original_width']}x{metadata['original_height']}"
        print(f"  {sample['__key__']}  {size:>9} -> {image.width}x{image.height}  {sample['txt'].decode()}")
        count += 1
    return count


def main() -> int:
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    server = serve_photographs()
    url_list = write_url_list(server.server_port)
    dataset = OUTPUT / "dataset"
    command = [
        *("img2dataset", "--url_list", str(url_list), "--input_format", "csv"),
        *("--caption_col", "caption", "--output_format", "webdataset", "--output_folder", str(dataset)),
    ]
    print("$", " ".join(command), flush=True)
    finished = subprocess.run([str(Path(sys.executable).with_name("img2dataset")), *command[1:]])
    server.shutdown()
    if finished.returncode:
        return finished.returncode
    print(f"\n{dataset} holds: {', '.join(sorted(path.name for path in dataset.glob('[0-9]*')))}")
    print("read back with the webdataset library:")
    count = show_dataset(dataset)
    print(f"{count} of 13 rows became samples; the 13th is a link that has died, as some always have.")
    print(f"what is in it, and why the rest is not, to look at: {dataset / 'report.html'}")
    return 0 if count == 12 and (dataset / "report.html").exists() else 1


if __name__ == "__main__":
    sys.exit(main())
