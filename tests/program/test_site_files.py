"""The files of sites, through the whole program: each is asked for once, and not again by the next run."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from img2dataset.fetching.consent.site_files import KEPT_S
from tests.pictures import photograph
from tests.program.runs import COMMAND, read_dataset, run, start
from tests.program.test_faults import wait_until, workers_of
from tests.servers import ImageServer
from tests.storage.conftest import s3_server

__all__ = ["s3_server"]  # a fixture

ROBOTS, TDMREP = "/robots.txt", "/.well-known/tdmrep.json"
PICTURE = photograph(160, 120, seed=6)
KEPT = ".img2dataset_runs/sites/driver.jsonl.gz"


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with ImageServer() as made:
        made.put("/a.jpg", PICTURE)
        put_files(made)
        yield made


def put_files(server: ImageServer, latency_s: float = 0.0) -> None:
    server.put(ROBOTS, b"User-agent: *\nDisallow: /no\n", "text/plain", latency_s=latency_s)
    server.put(TDMREP, b"[]", "application/json", latency_s=latency_s)


def asked(server: ImageServer) -> tuple[int, int]:
    return server.count(ROBOTS), server.count(TDMREP)


def options_for(server: ImageServer, folder: Path, rows: int, hosts: int) -> dict[str, Any]:
    url_list = folder / "list.txt"
    urls = (server.url(f"/a.jpg?{n}\n", f"h{n % hosts}.localhost") for n in range(rows))
    url_list.write_text("".join(urls))
    return {
        "url_list": url_list,
        "output_folder": folder / "out",
        "output_format": "webdataset",
        "processes_count": 2,
        "number_sample_per_shard": 25,
        "consent": "strict",
    }


def done(options: dict[str, Any]) -> str:
    finished = run(**options)
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def successes(folder: Path) -> int:
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return sum(row["status"] == "success" for table in tables for row in table.to_pylist())


def lose_shards(output: Path, count: int) -> None:
    """Let the next run have something to do."""
    for path in sorted(output.glob("*_stats.json"))[:count]:
        path.unlink()


def test_two_processes_ask_each_of_100_hosts_once(server: ImageServer, tmp_path: Path) -> None:
    put_files(server, latency_s=0.2)
    options = options_for(server, tmp_path, rows=300, hosts=100)
    done(options)
    assert asked(server) == (100, 100)
    assert successes(tmp_path / "out") == 300


def test_the_next_run_asks_none_until_a_day_later(server: ImageServer, tmp_path: Path) -> None:
    options = options_for(server, tmp_path, rows=100, hosts=20)
    done(options)
    lose_shards(tmp_path / "out", 2)
    done(options)
    assert asked(server) == (20, 20)
    assert server.count("/a.jpg") == 150
    unpacked = gzip.decompress((tmp_path / "out" / KEPT).read_bytes())
    lines = [json.loads(line) for line in unpacked.splitlines()]
    # Nothing of the user, and of sites no more than this.
    assert {frozenset(line) for line in lines[1:]} == {frozenset({"file", "fetched", "body"})}
    assert set(lines[0]) == {"version", "user_agent"}
    for line in lines[1:]:
        line["fetched"] -= KEPT_S
    packed = gzip.compress(b"\n".join(json.dumps(line).encode() for line in lines) + b"\n")
    (tmp_path / "out" / KEPT).write_bytes(packed)
    lose_shards(tmp_path / "out", 4)
    done(options)
    assert asked(server) == (40, 40)


def test_licences_are_kept_too(server: ImageServer, tmp_path: Path) -> None:
    licence = b"<rsl><content url='/'/></rsl>"
    server.put("/license.xml", licence, "application/rsl+xml")
    server.put(ROBOTS, f"License: {server.url('/license.xml', 'h0.localhost')}\n".encode(), "text/plain")
    options = options_for(server, tmp_path, rows=50, hosts=1)
    done(options)
    lose_shards(tmp_path / "out", 1)
    done(options)
    assert (server.count("/license.xml"), *asked(server)) == (1, 1, 1)


def test_another_user_agent_asks_for_itself(server: ImageServer, tmp_path: Path) -> None:
    options = options_for(server, tmp_path, rows=50, hosts=10)
    done(options)
    lose_shards(tmp_path / "out", 2)
    done({**options, "user_agent_token": "mybot"})
    assert asked(server) == (20, 20)


def test_what_could_not_be_had_is_asked_for_again_by_the_next_run(
    server: ImageServer, tmp_path: Path
) -> None:
    server.put(ROBOTS, b"broken", status=500)
    options = options_for(server, tmp_path, rows=50, hosts=5)
    done({**options, "retries": 0})
    assert successes(tmp_path / "out") == 0
    assert server.count(ROBOTS) == 5
    put_files(server)
    done({**options, "incremental_mode": "retry_failed"})
    assert successes(tmp_path / "out") == 50
    assert server.count(ROBOTS) == 10


def sockets_of(pid: int) -> int:
    """How many a process has open."""
    found = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += "socket:" in os.readlink(path)
    return found


def test_a_killed_process_leaves_no_site_stuck(server: ImageServer, tmp_path: Path) -> None:
    put_files(server, latency_s=10.0)
    options = options_for(server, tmp_path, rows=200, hosts=40)
    process = start(**options, timeout=60)
    wait_until(lambda: len(workers_of(process)) == 2 and server.count(ROBOTS) == 40, process)
    put_files(server)  # those that are asked for from now on
    # The one that asks for more of them, which nobody else may ask for until it is gone.
    os.kill(max(workers_of(process), key=sockets_of), signal.SIGKILL)
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert successes(tmp_path / "out") == 200
    assert 40 < server.count(ROBOTS) <= 80


@pytest.mark.parametrize("contents", [b"no gzip", gzip.compress(b'{"version": 1, "user_agent": ""}\n{')[:-9]])
def test_a_broken_file_costs_one_line(server: ImageServer, tmp_path: Path, contents: bytes) -> None:
    options = options_for(server, tmp_path, rows=50, hosts=10)
    path = tmp_path / "out" / KEPT
    path.parent.mkdir(parents=True)
    path.write_bytes(contents)
    said = done(options)
    assert said.count("what it says of sites is asked for again") == 1
    assert "Traceback" not in said
    assert asked(server) == (10, 10)
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 21


def test_a_folder_that_cannot_be_written_costs_no_run(server: ImageServer, tmp_path: Path) -> None:
    options = options_for(server, tmp_path, rows=50, hosts=10)
    (tmp_path / "out" / KEPT).mkdir(parents=True)  # no file can be put there
    (tmp_path / "out" / KEPT / "something").touch()
    said = done(options)
    assert "Traceback" not in said
    assert asked(server) == (10, 10)
    assert successes(tmp_path / "out") == 50


@pytest.mark.parametrize("options", [{}, {"consent": "off"}, {"respect_tdm": True}])
def test_a_run_that_asks_for_none_keeps_none(
    server: ImageServer, tmp_path: Path, options: dict[str, Any]
) -> None:
    done({**options_for(server, tmp_path, rows=50, hosts=10), "consent": "usual", **options})
    assert asked(server) == (0, 0)
    assert not (tmp_path / "out" / KEPT).parent.exists()


def test_nothing_is_left_on_the_disk_of_the_machine(server: ImageServer, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done({**options_for(server, tmp_path, rows=50, hosts=10), "environment": {"TMPDIR": str(scratch)}})
    assert [path.name for path in scratch.iterdir() if "img2dataset-hosts" not in path.name] == []


def test_readers_take_it_for_no_data(server: ImageServer, tmp_path: Path) -> None:
    done(options_for(server, tmp_path, rows=50, hosts=10))
    output = tmp_path / "out"
    assert (output / KEPT).is_file()
    assert len(read_dataset(output).images) == 50
    for words in (["verify", str(output)], ["inspect", str(output)], ["report", str(output)]):
        finished = subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=240)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert "jsonl" not in finished.stdout


def test_it_is_kept_in_a_store(
    s3_server: str, s3_environment: Callable[[str], None], server: ImageServer, tmp_path: Path
) -> None:
    s3_environment(s3_server)
    store = fsspec.filesystem("s3", endpoint_url=s3_server, key="test", secret="test")
    bucket = f"sites-{uuid.uuid4().hex[:8]}"
    store.mkdir(bucket)
    options = {
        **options_for(server, tmp_path, rows=50, hosts=10),
        "output_folder": f"s3://{bucket}/out",
    }
    done(options)
    assert store.exists(f"{bucket}/out/{KEPT}")
    store.rm(f"{bucket}/out/00000_stats.json")
    done(options)
    assert asked(server) == (10, 10)
    assert server.count("/a.jpg") == 75
