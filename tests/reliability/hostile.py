"""What does a hostile list cost in memory? ``python -m tests.reliability.hostile``, some five minutes.

Among ordinary photographs, hosts that want memory: endless bodies, gzip bombs, a PNG of 900 megapixels,
headers without end, JPEGs that say they are huge, drips. Default options, two processes; the highest memory
of the process tree (PSS, sampled ten times a second) of this program, and of 1.47.0, which is ended at 12 GB
or after three minutes. A second list has images just below the default of ``max_decoded_pixels`` instead,
which are decoded. Exit status 0 only if this program stays below 600 MB over the first list, and accounts for
every row.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.pictures import photograph
from tests.reliability import WORK
from tests.reliability.bombs import boasting_jpeg, gzip_bomb, huge_jpeg, png_bomb
from tests.reliability.programs import Program, peer_program, this_program
from tests.servers import ImageServer

ORDINARY_ROWS = 600
ROWS_OF_EACH_KIND = 8
MOST_MEMORY = 600_000_000
PEER_LIMIT, PEER_TIME_LIMIT_S = 12_000_000_000, 180.0
TIME_LIMIT_S = 600.0
SAMPLE_INTERVAL_S = 0.1


@dataclass(frozen=True)
class Seen:
    """What one program did with one list. ``ended``: by itself, or why not. Memory in bytes."""

    program: str
    url_list: str
    rows: int
    ended: str
    seconds: float
    peak: int
    accounted: int
    images: int

    def line(self) -> str:
        return (
            f"| {self.program} | {self.url_list} | {self.peak / 1e6:,.0f} MB | {self.seconds:.0f} s"
            f" | {self.ended} | {self.accounted} of {self.rows} | {self.images} |"
        )


def hostile_addresses(server: ImageServer) -> list[str]:
    """One address of each hostile kind."""
    zipped = [("Content-Encoding", "gzip")]
    return [
        server.url("/endless-body"),
        server.url("/huge-length"),
        server.url("/long-body?size=2000000000"),
        server.url("/unsized?size=2000000000"),
        server.url("/large-error?size=2000000000"),
        server.put("/gzip-bomb-of-2-gb.jpg", gzip_bomb(2000), headers=zipped),
        server.url("/header-flood"),
        server.url("/long-header?size=50000000"),
        server.url("/drip-body?interval=0.5&size=1000000"),
        server.url("/drip-headers?interval=0.5"),
        server.put("/900-megapixels.png", png_bomb(30_000, 30_000), "image/png"),
        server.put("/says-4-gigapixels.jpg", boasting_jpeg(65_500, 65_500, progressive=False)),
        server.put("/says-4-gigapixels-progressive.jpg", boasting_jpeg(65_500, 65_500, progressive=True)),
    ]


def admitted_addresses(server: ImageServer) -> list[str]:
    """Images of 196 megapixels, which ``max_decoded_pixels`` (200 million) admits."""
    return [
        server.put("/196-megapixels.png", png_bomb(14_000, 14_000), "image/png"),
        server.put("/196-megapixels.jpg", huge_jpeg(14_000, 14_000, progressive=False)),
        server.put("/196-megapixels-progressive.jpg", huge_jpeg(14_000, 14_000, progressive=True)),
    ]


def write_list(path: Path, server: ImageServer, bad: list[str]) -> int:
    """Ordinary photographs with the bad addresses among them, shuffled; the number of rows."""
    good = [server.put(f"/ordinary/{n}.jpg", photograph(320 + 40 * n, 480, seed=n)) for n in range(8)]
    urls = [f"{good[n % 8]}?{n}" for n in range(ORDINARY_ROWS)]
    for address in bad:
        urls += [f"{address}{'&' if '?' in address else '?'}n={n}" for n in range(ROWS_OF_EACH_KIND)]
    random.Random(1).shuffle(urls)
    path.write_text("".join(f"{url}\n" for url in urls))
    return len(urls)


def run_over(
    program: Program, url_list: Path, rows: int, time_limit_s: float, memory_limit: float = float("inf")
) -> Seen:
    """Run a program with default options; end its tree at a limit."""
    output = url_list.with_name(f"{url_list.stem}-{program.name.replace(' ', '-')}")
    options = {"url_list": url_list, "output_folder": output, "output_format": "webdataset"}
    log = output.with_suffix(".log")
    with program.start(log, SAMPLE_INTERVAL_S, **options, processes_count=2) as run:
        status = None
        ended = f"ended by the watchdog after {time_limit_s:.0f} s"
        while status is None and run.seconds < time_limit_s:
            status = run.wait(SAMPLE_INTERVAL_S)
            if run.peak > memory_limit:
                ended = f"ended by the watchdog at {memory_limit / 1e9:.0f} GB"
                break
        if status is not None:
            ended = f"exit {status}"
        seconds = run.seconds
    statistics = [json.loads(path.read_text()) for path in output.glob("*_stats.json")]
    return Seen(
        program.name,
        url_list.stem,
        rows,
        ended,
        seconds,
        run.peak,
        sum(each["count"] for each in statistics),
        sum(each["successes"] for each in statistics),
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.reliability.hostile", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--without-peer", action="store_true", help="leave img2dataset 1.47.0 out")
    return parser.parse_args(arguments)


def main() -> int:
    chosen = parse(sys.argv[1:])
    work = WORK / "hostile"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    print("| program | list | most memory | time | end | rows accounted for | images |", flush=True)
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    lists: dict[str, Callable[[ImageServer], list[str]]] = {
        "hostile": hostile_addresses,
        "196 megapixels": admitted_addresses,
    }
    mine = []
    with ImageServer() as server:
        for name, addresses in lists.items():
            url_list = work / f"{name}.txt"
            rows = write_list(url_list, server, addresses(server))
            mine.append(run_over(this_program(), url_list, rows, TIME_LIMIT_S))
            print(mine[-1].line(), flush=True)
            if not chosen.without_peer:
                theirs = run_over(peer_program(), url_list, rows, PEER_TIME_LIMIT_S, PEER_LIMIT)
                print(theirs.line(), flush=True)
    met = mine[0].peak <= MOST_MEMORY and all(each.accounted == each.rows for each in mine)
    print(f"at most {MOST_MEMORY / 1e6:.0f} MB, and every row: {'met' if met else 'NOT met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
