"""What one host sees of a whole run, of however many processes, against real servers that count."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from img2dataset.distributing.local import ROWS_AT_ONCE
from tests.program.runs import run_here
from tests.servers import ImageServer


def make(tmp_path: Path, urls: list[str], **options: Any) -> Counter[str | None]:
    """Run over these addresses and count the failures of the rows, None for what was stored."""
    (tmp_path / "list.txt").write_text("".join(f"{url}\n" for url in urls))
    output = tmp_path / "out"
    # The servers of these tests do not send images.
    chosen = {"output_format": "webdataset", "disable_all_reencoding": True, **options}
    done = run_here(url_list=tmp_path / "list.txt", output_folder=output, **chosen)
    assert done.returncode == 0, done.stderr
    counted = sum(json.loads(path.read_text())["count"] for path in output.glob("*_stats.json"))
    assert counted == len(urls)
    tables = [pq.read_table(path)["error_message"].to_pylist() for path in output.glob("*.parquet")]
    return Counter(failure for failures in tables for failure in failures)


def limited(server: ImageServer, rows: int, query: str) -> list[str]:
    return [f"{server.url('/limited/host')}?{query}&row={n}" for n in range(rows)]


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def most_in(seconds: float, times: list[float]) -> int:
    return max(sum(moment <= other < moment + seconds for other in times) for moment in times)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("processes", "rows_a_shard", "query"),
    [
        (2, 100, "per_second=5"),
        (4, 100, "per_second=5&retry_after=1"),
        (2, 10_000, "per_second=5&retry_after=1"),
    ],
)
def test_five_hundred_rows_of_a_host_of_five_a_second_lose_none_and_keep_to_it(
    tmp_path: Path, processes: int, rows_a_shard: int, query: str
) -> None:
    with ImageServer() as server:
        options = {"processes_count": processes, "number_sample_per_shard": rows_a_shard}
        assert make(tmp_path, limited(server, 500, query), **options) == {None: 500}
        times = server.times("/limited/host")
    late = [moment for moment in times if moment - times[0] > 5]
    # A request may come late and the next one in time.
    assert most_in(1, late) <= 5 + 1


def test_a_limited_host_gets_from_all_processes_together_what_it_takes(tmp_path: Path) -> None:
    with ImageServer() as server:
        options = {"processes_count": 3, "number_sample_per_shard": 40}
        assert make(tmp_path, limited(server, 360, "per_second=40&retry_after=1"), **options) == {None: 360}
        times = server.times("/limited/host")
    late = [moment for moment in times if moment - times[0] > 3]
    assert late, "the run was limited"
    assert most_in(1, late) <= 40 + 4


def test_a_host_that_sends_one_process_away_is_not_asked_by_another(tmp_path: Path) -> None:
    with ImageServer() as server:
        away = server.url("/status/429?line=Retry-After:%203600")
        # A shard for each process, as it is too long for one to be given both; and one comes to that host
        # when the other has done with it. Beside a row whose server has said something none is begun.
        rows = ROWS_AT_ONCE + 10
        first, second = (f"/later/{name}.jpg" for name in ("first", "second"))
        urls = [
            *[server.url(f"{first}?hints=1", host=2), *[f"{away}&row={n}" for n in range(rows - 1)]],
            *[server.url(f"{second}?hints=1", host=3), *[f"{away}&row={n}" for n in range(rows - 1)]],
        ]

        def answer_one_after_the_other() -> None:
            wait(lambda: server.count(first) == server.count(second) == 1)
            server.put(first, b"first")
            wait(lambda: any((tmp_path / "out").glob("*_stats.json")))
            server.put(second, b"second")

        options = {"processes_count": 2, "number_sample_per_shard": rows, "thread_count": 1, "timeout": 240}
        answering = threading.Thread(target=answer_one_after_the_other, daemon=True)
        answering.start()
        assert make(tmp_path, urls, **options) == {None: 2, "HTTP 429": 2 * (rows - 1)}
        answering.join()
        assert server.count(first) == server.count(second) == 1
        assert server.count("/status/429") == 1


def test_a_rate_holds_for_all_processes_together(tmp_path: Path) -> None:
    with ImageServer() as server:
        options = {"processes_count": 2, "number_sample_per_shard": 10}
        urls = limited(server, 40, "per_second=1000")
        assert make(tmp_path, urls, max_requests_per_second_per_host=5, **options) == {None: 40}
        # A busy server that stands still for a third of a second notes one or two of them as that much later.
        assert most_in(4, server.times("/limited/host")) <= 20 + 2


def test_connections_to_a_host_are_bounded_over_all_processes(tmp_path: Path) -> None:
    for bound in (None, 4):
        with ImageServer() as server:
            url = server.put("/slow.jpg", b"slow", latency_s=0.1)
            folder = tmp_path / str(bound)
            folder.mkdir()
            urls = [f"{url}?{n}" for n in range(120)]
            options = {"processes_count": 2, "number_sample_per_shard": 20, "max_connections_per_host": bound}
            assert make(folder, urls, **options) == {None: 120}
            peak = server.statistics()["peak"]
            assert peak <= bound if bound else peak > 4


def test_a_list_of_one_shard_and_one_host_uses_the_connections_of_all_processes(tmp_path: Path) -> None:
    with ImageServer() as server:
        # Eight are the share of one process: without the second, no further request would be answered.
        url = server.url("/answers-when-open?connections=9")
        urls = [f"{url}&row={n}" for n in range(600)]
        options = {"processes_count": 2, "max_connections_per_host": 16, "timeout": 120}
        assert make(tmp_path, urls, **options) == {None: 600}
        assert 8 < server.statistics()["peak"] <= 16
        assert server.count("/answers-when-open") == 600


def test_how_long_a_host_may_make_its_rows_wait_is_the_users_choice(tmp_path: Path) -> None:
    for longest, outcome in ((1, "HTTP 429"), (5, None)):
        with ImageServer() as server:
            folder = tmp_path / str(longest)
            folder.mkdir()
            url = server.url("/flaky/host?fail=1&status=429&line=Retry-After:%202")
            assert make(folder, [url], max_retry_after=longest) == {outcome: 1}
            assert server.count("/flaky/host") == (1 if outcome else 2)
