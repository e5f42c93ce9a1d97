"""The lists and the simulated web are what the README says, and the same for every contender."""

from __future__ import annotations

import collections
import http.client
import statistics
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.csv
import pyarrow.parquet
import pytest

from benchmarks.long_lists import write_long_list
from benchmarks.run import parse
from benchmarks.scenarios import BEHAVIOUR, SCENARIOS, Setting, urls, write_list
from benchmarks.servers import SimulatedWeb
from benchmarks.web_process import Behaviour, addresses, latency_s, listening_addresses, silent_addresses

FILES = [f"{number:05d}.jpg" for number in range(600)]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_url_of_a_list_is_another_and_the_list_is_the_same_again(name: str) -> None:
    made = urls(SCENARIOS[name], FILES, 8000)
    assert len(set(made)) == SCENARIOS[name].rows
    assert made == urls(SCENARIOS[name], FILES, 8000)


def test_https_rows_go_to_200_addresses() -> None:
    hosts = collections.Counter(urlsplit(url).hostname for url in urls(SCENARIOS["https"], FILES, 8000))
    assert len(hosts) == 200
    assert len(set(hosts.values())) == 1


def test_the_simulated_web_has_its_shares_of_silent_refusing_and_missing() -> None:
    scenario = SCENARIOS["web"]
    made = urls(scenario, FILES, 8000)
    listening, silent = set(listening_addresses(BEHAVIOUR)), set(silent_addresses(BEHAVIOUR))
    hosts = [urlsplit(url).hostname for url in made]
    assert sum(host in silent for host in hosts) / scenario.rows == pytest.approx(0.04, abs=0.01)
    assert sum(host not in listening for host in hosts) / scenario.rows == pytest.approx(0.03, abs=0.01)
    assert sum("missing" in url for url in made) / scenario.rows == pytest.approx(0.08, abs=0.01)


def test_latencies_are_log_normal_around_150_ms_and_belong_to_the_url() -> None:
    targets = [f"/00001.jpg?{row}".encode() for row in range(4000)]
    seconds = [latency_s(BEHAVIOUR, target) for target in targets]
    assert statistics.median(seconds) == pytest.approx(0.15, rel=0.08)
    assert statistics.quantiles(seconds, n=100)[98] == pytest.approx(0.15 * 6.4, rel=0.25)
    assert seconds == [latency_s(BEHAVIOUR, target) for target in targets]


def test_the_simulated_web_answers_misses_refuses_and_keeps_silent(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    behaviour = Behaviour(hosts=10, silent=0.1, refusing=0.1, median_latency_s=0.01)
    silent, refusing, answering = addresses(behaviour)[:3]
    web = SimulatedWeb(tmp_path / "home", tmp_path, behaviour)
    try:
        client = http.client.HTTPConnection(answering, web.port, timeout=10)
        for path, status, body in (("/a.jpg?1", 200, b"picture"), ("/b.jpg", 404, b"not found")):
            client.request("GET", path)  # the second on the connection of the first
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (status, body)
        client.request("GET", "/a.jpg", headers={"Connection": "close"})
        assert client.getresponse().read() == b"picture"
        with pytest.raises(ConnectionRefusedError):
            http.client.HTTPConnection(refusing, web.port, timeout=10).connect()
        patient = http.client.HTTPConnection(silent, web.port, timeout=0.5)
        patient.request("GET", "/a.jpg")
        with pytest.raises(TimeoutError):
            patient.getresponse()
    finally:
        web.close()


def test_default_settings_name_no_processes_and_no_threads() -> None:
    scenario = SCENARIOS["http"]
    assert Setting("defaults", 2).arguments(scenario) == []
    assert Setting("equal", 2).arguments(scenario) == ["--processes_count", "2", "--thread_count", "64"]


def test_fewer_rows_keep_the_number_of_shards() -> None:
    small = SCENARIOS["http"].with_rows(801)
    assert (small.rows, small.rows_per_shard) == (801, 101)


def test_a_list_is_written_with_captions(tmp_path: Path) -> None:
    write_list(tmp_path / "list.parquet", ["http://a/1", "http://a/2"])
    table = pyarrow.parquet.read_table(tmp_path / "list.parquet")
    assert table.column("url").to_pylist() == ["http://a/1", "http://a/2"]
    assert table.column("caption").to_pylist() == ["photograph number 0", "photograph number 1"]


def test_long_lists_have_the_same_rows_in_every_format(tmp_path: Path) -> None:
    for ending in ("parquet", "csv", "txt"):
        write_long_list(tmp_path / f"list.{ending}", 1234, 8000, "small.jpg")
    parquet = pyarrow.parquet.read_table(tmp_path / "list.parquet")
    comma_separated = pyarrow.csv.read_csv(tmp_path / "list.csv")
    lines = (tmp_path / "list.txt").read_text().splitlines()
    assert parquet.to_pylist() == comma_separated.to_pylist()
    assert parquet.column("url").to_pylist() == lines
    assert len(set(lines)) == 1234


def test_a_long_list_of_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"list\.xml: the format must be one of parquet, csv, txt"):
        write_long_list(tmp_path / "list.xml", 1, 8000, "small.jpg")


def test_only_a_whole_run_may_write_the_results_of_the_repository() -> None:
    assert parse([]).whole
    for partial in (["--quick"], ["--scenario", "http"], ["--rows", "100"], ["--no-daft"], ["--no-peer"]):
        assert not parse(partial).whole


def test_a_number_of_rounds_below_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--rounds", "0"])
    assert "--rounds must be at least 1, not 0" in capsys.readouterr().err
