"""The event log says what a run does, wherever it is kept, and is read again whole or cut short."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.options import resolve
from img2dataset.reporting.event_log import LOG_FOLDER, EventLog, read_logs
from img2dataset.reporting.events import EndEvent, RunEvent
from img2dataset.reporting.facts import Facts, facts_of_document
from img2dataset.reporting.surroundings import surroundings_of
from img2dataset.storage.locations import locate
from img2dataset.types import ShardMeasures, ShardReport, ShardStats, report_of_json

MEASURES = ShardMeasures(
    hosts={"a.example": 7, "b.example": 3},
    troubles={"b.example": {"HTTP 404": 2}},
    not_images={"HTML": 1},
    repeated=1,
    bytes_in=5000,
    bytes_out=900,
    seconds=2.5,
    cpu_s=1.25,
    waited_s={"network": 0.5},
    memory=10_000_000,
)


def report(shard_id: int = 0) -> ShardReport:
    messages = {"success": 7, "HTTP 404": 2, "decode: not an image": 1}
    return ShardReport(shard_id, ShardStats(shard_id, 10, 7, 2, 1, 0.0, 2.0, messages), measures=MEASURES)


def logged(folder: str, shards: int = 3) -> None:
    location = locate(folder, "output_folder", OutputError)
    surroundings = surroundings_of(
        resolve({"url_list": "list.txt", "proxy": ["http://me:secret@127.0.0.1:1"]})
    )
    log = EventLog(
        location, RunEvent(1000.0, "host-1-abcdef", "driver", "list.txt", "incremental", surroundings)
    )
    log.start()
    log.list_is_known(1000)
    for shard_id in range(shards):
        log.shard(report(shard_id))
    log.rows(Counter({"success": 7 * shards}))
    log.close(EndEvent(1010.0, 0, findings=[{"kind": "link_rot"}]))


def check(folder: str, shards: int = 3) -> None:
    (log,) = read_logs(locate(folder, "output_folder", OutputError))
    assert (log.run.run, log.run.member, log.run.time) == ("host-1-abcdef", "driver", 1000.0)
    facts = log.facts
    assert (facts.shards, facts.count, facts.successes) == (shards, 10 * shards, 7 * shards)
    assert facts.messages["HTTP 404"] == 2 * shards
    assert facts.troubles["b.example"]["HTTP 404"] == 2 * shards
    assert facts.waited_s == {"network": pytest.approx(0.5 * shards)}
    assert facts.memory == 10_000_000
    assert log.ticks[-1].rows_of_list == 1000
    assert log.ticks[-1].rows == {"success": 7 * shards}
    assert log.end is not None
    assert log.end.findings == [{"kind": "link_rot"}]


def test_what_is_logged_is_read_again(tmp_path: Path) -> None:
    logged(str(tmp_path))
    check(str(tmp_path))


def test_a_store_that_takes_whole_objects_only_gets_the_log_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("img2dataset.reporting.event_log.PART_BYTES", 300)
    logged("memory://event-log")
    parts = fsspec.filesystem("memory").ls(f"/event-log/{LOG_FOLDER}", detail=False)
    assert len(parts) > 1
    check("memory://event-log")


@pytest.mark.parametrize("exit_status", [0, 1])
def test_a_run_with_nothing_to_do_leaves_a_log_only_if_it_fails(tmp_path: Path, exit_status: int) -> None:
    told: list[str] = []
    location = locate(str(tmp_path), "output_folder", OutputError)
    run = RunEvent(1000.0, "a-1-b", "driver", "l", "incremental", surroundings_of(resolve({"url_list": "l"})))
    log = EventLog(location, run, lambda event: told.append(type(event).__name__))
    log.start()
    log.close(EndEvent(1001.0, exit_status))
    assert len(read_logs(location)) == exit_status
    assert told == ["RunEvent", "EndEvent"]


def test_no_secret_of_the_options_is_in_it(tmp_path: Path) -> None:
    logged(str(tmp_path))
    (path,) = (tmp_path / LOG_FOLDER).iterdir()
    assert "secret" not in path.read_text()


def test_broken_lines_and_those_of_later_versions_are_left_out(tmp_path: Path) -> None:
    logged(str(tmp_path))
    (path,) = (tmp_path / LOG_FOLDER).iterdir()
    lines = path.read_text().splitlines()
    strange = ['{"event":"tick","ti', "null", "[]", '{"event":"later","time":1}', "", '{"event":"tick"}']
    run = json.loads(lines[0])
    run["new"], run["surroundings"]["new"] = 1, 2
    path.write_text("\n".join([json.dumps(run), *strange, *lines[1:], lines[-1][:20]]))
    check(str(tmp_path))


def test_a_log_of_another_kind_hides_no_other(tmp_path: Path) -> None:
    logged(str(tmp_path))
    run = json.loads(next((tmp_path / LOG_FOLDER).iterdir()).read_text().splitlines()[0])
    (tmp_path / LOG_FOLDER / "zz.jsonl").write_text(json.dumps({**run, "time": None}))
    check(str(tmp_path))


def test_a_machine_without_descriptors_keeps_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("img2dataset.reporting.event_log.use_of_tree", fail)
    logged(str(tmp_path))
    check(str(tmp_path))


def test_a_run_that_was_killed_has_no_end(tmp_path: Path) -> None:
    logged(str(tmp_path))
    (path,) = (tmp_path / LOG_FOLDER).iterdir()
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    (log,) = read_logs(locate(str(tmp_path), "output_folder", OutputError))
    assert log.end is None
    assert log.heard == log.ticks[-1].time


def test_a_folder_that_cannot_be_written_to_costs_the_log_alone(tmp_path: Path) -> None:
    (tmp_path / ".img2dataset_runs").write_text("no folder")
    (tmp_path / ".img2dataset_runs").chmod(0o400)
    logged(str(tmp_path / "nothing" / "\0"))


def test_facts_survive_json_and_add_up() -> None:
    facts, both = Facts(), Facts()
    facts.add_report(report())
    facts.add_report(ShardReport(1, error="OSError: full"))
    again = facts_of_document(json.loads(json.dumps(facts.to_document())))
    assert again == facts
    both.add(facts)
    both.add(again)
    assert both.count == 20
    assert both.errors == {"OSError: full": 2}


def test_facts_of_a_million_hosts_stay_small() -> None:
    facts = Facts()
    for shard_id in range(2000):
        hosts = {f"{shard_id}-{n}.example": 1 for n in range(20)} | {"worst.example": 50}
        measures = ShardMeasures(
            hosts=hosts, troubles={host: {"HTTP 404": rows} for host, rows in hosts.items()}
        )
        stats = ShardStats(shard_id, 70, 0, 70, 0, 0.0, 1.0, {"HTTP 404": 70})
        facts.add_report(ShardReport(shard_id, stats, measures=measures))
    assert len(facts.hosts) <= 10_020
    assert facts.worst_hosts(1)[0][0] == "worst.example"
    assert len(json.dumps(facts.to_document())) < 10_000


def test_measures_travel_with_a_report() -> None:
    assert report_of_json(report().to_json()) == report()
