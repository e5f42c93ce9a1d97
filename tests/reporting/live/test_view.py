"""What the page says is what lies in the folder, of a run that goes on, has ended, or has died."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.reporting.event_log import LOG_FOLDER
from img2dataset.reporting.events import EndEvent, Event, RunEvent, TickEvent
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.live.following import MOST_POINTS, FollowedLog, LogFollower
from img2dataset.reporting.live.samples import LatestSamples
from img2dataset.reporting.live.shard_statistics import StatisticsFollower
from img2dataset.reporting.live.view import last_run, view_of
from img2dataset.reporting.surroundings import Surroundings
from img2dataset.storage.locations import Location, locate
from tests.program.runs import run, serve_photographs, write_list
from tests.reporting.test_event_log import logged, report
from tests.servers import ImageServer


def place(folder: object) -> Location:
    return locate(str(folder), "output_folder", OutputError)


def log_of(*events: Event, time: float = 100.0, member: str = "driver") -> FollowedLog:
    log = FollowedLog(
        RunEvent(time, f"run-{time}-{member}", member, "list.txt", "incremental", Surroundings()), time
    )
    for event in events:
        assert not isinstance(event, RunEvent)
        log.take(event)
    return log


def tick(time: float, successes: int, failed: int = 0, shards: int = 0) -> TickEvent:
    facts = Facts() if shards else None
    for shard_id in range(shards):
        facts.add_report(report(shard_id))  # type: ignore[union-attr]
    rows = {"success": successes, "failed_to_download": failed}
    return TickEvent(time, rows, 1000, (time - 100) / 2, 5_000_000, facts)


@pytest.mark.parametrize("folder", ["local", "memory://followed"])
def test_a_log_is_read_once_while_it_grows(folder: str, tmp_path: Path) -> None:
    folder = str(tmp_path) if folder == "local" else folder
    location = place(folder)
    follower = LogFollower(location)
    assert follower.look() == []
    logged(folder)
    (log,) = follower.look()
    assert (log.facts.count, log.rows["success"], log.rows_of_list) == (30, 21, 1000)
    assert follower.look()[0].facts.count == 30
    (path,) = location.file_system.glob(f"{location.path}/{LOG_FOLDER}/*.jsonl")
    # A line is taken when it is whole, whichever way it is cut.
    line = json.dumps(tick(2000.0, 40, shards=1).to_document()).encode() + b"\n"
    before = location.file_system.cat_file(path)
    for end in (1, len(line) // 2, len(line) - 1):
        location.file_system.pipe_file(path, before + line[:end])
        assert follower.look()[0].facts.count == 30
    location.file_system.pipe_file(path, before + line)
    (log,) = follower.look()
    assert (log.facts.count, log.rows["success"]) == (40, 40)
    if folder.startswith("memory"):
        fsspec.filesystem("memory").rm("/followed", recursive=True)


def test_a_log_of_a_week_is_kept_small() -> None:
    log = log_of(*(tick(100.0 + second * 10, second * 100) for second in range(60_000)))
    assert len(log.points) <= MOST_POINTS
    view = view_of("out", [log], {}, log.heard + 5)
    assert view["rows"]["done"] == 5_999_900
    assert len(view["series"]["time"]) == 100
    assert {round(value) for value in view["series"]["rows_per_second"]} == {10}


def test_rates_are_those_of_all_members_together() -> None:
    one = log_of(tick(110, 100), tick(120, 200), member="rank-0")
    other = log_of(tick(110, 300), tick(120, 600), member="rank-1")
    view = view_of("out", [one, other], {}, 121.0)
    assert (view["rows"]["done"], view["rows_per_second"], view["state"]) == (800, 40.0, "running")
    assert (view["cores_used"], view["memory"]) == (1.0, 10_000_000)
    assert view["series"]["success_share"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("events", "now", "state"),
    [
        ([tick(110, 1)], 115.0, "running"),
        ([tick(110, 1)], 500.0, "silent"),
        ([tick(110, 1), EndEvent(120.0, 0)], 500.0, "ended"),
        ([tick(110, 1), EndEvent(120.0, 1, "the list broke off")], 500.0, "failed"),
    ],
)
def test_a_run_goes_on_has_ended_or_has_died(events: list[Event], now: float, state: str) -> None:
    view = view_of("out", [log_of(*events)], {}, now)
    assert view["state"] == state
    assert view["errors"] == (["the list broke off"] if state == "failed" else [])


def test_a_clock_that_differs_does_not_make_a_run_silent() -> None:
    assert view_of("out", [log_of(tick(110, 1))], {}, 100_000.0, is_heard=True)["state"] == "running"


def test_the_last_run_is_shown_with_the_programs_that_were_at_work_in_its_time() -> None:
    old = log_of(tick(110, 1), EndEvent(120.0, 0))
    first = log_of(tick(300, 5), EndEvent(310.0, 0), time=200.0, member="rank-0")
    second = log_of(tick(400, 5), time=250.0, member="rank-1")
    assert last_run([old, first, second]) == [first, second]
    assert last_run([old]) == [old]


def test_a_folder_without_a_log_is_shown_by_its_statistics(tmp_path: Path, image_server: ImageServer) -> None:
    urls = write_list(tmp_path / "list.txt", serve_photographs(image_server, 6), 40)
    options = {"url_list": urls, "output_folder": tmp_path / "out", "number_sample_per_shard": 10}
    assert run(**options, output_format="files").returncode == 0
    for path in (tmp_path / "out").glob(".img2dataset*/**/*"):
        path.unlink() if path.is_file() else None
    location = place(tmp_path / "out")
    assert LogFollower(location).look() == []
    follower = StatisticsFollower(location)
    view = view_of("out", follower.look(), {}, 0.0)
    assert (view["rows"]["done"], view["rows"]["success"], view["shards"]["done"]) == (40, 40, 4)
    assert view["state"] == "unknown"
    assert follower.look()[0].facts.count == 40


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord", "dummy"])
def test_the_latest_images_of_every_format_come_with_their_captions(
    output_format: str, tmp_path: Path, image_server: ImageServer
) -> None:
    addresses = serve_photographs(image_server, 6)
    urls = tmp_path / "list.csv"
    urls.write_text("url,caption\n" + "".join(f"{addresses[n % 6]}?{n},picture {n}\n" for n in range(60)))
    options = {"url_list": urls, "output_folder": tmp_path / "out", "number_sample_per_shard": 20}
    ran = run(**options, input_format="csv", caption_col="caption", output_format=output_format)
    assert ran.returncode == 0
    samples = LatestSamples(place(tmp_path / "out")).look()
    if output_format == "dummy":
        assert samples == []
        return
    assert len(samples) == 24
    for sample in samples:
        row = int(sample.key) // 100 * 20 + int(sample.key) % 100
        assert (sample.caption, sample.width, sample.content_type) == (f"picture {row}", 256, "image/jpeg")
        assert sample.image.startswith(b"\xff\xd8\xff")
    assert {int(sample.key) // 100 for sample in samples} == {1, 2}


def test_a_shard_that_is_broken_shows_no_images_and_hides_no_others(
    tmp_path: Path, image_server: ImageServer
) -> None:
    urls = write_list(tmp_path / "list.txt", serve_photographs(image_server, 6), 40)
    options = {"url_list": urls, "output_folder": tmp_path / "out", "number_sample_per_shard": 20}
    assert run(**options, output_format="webdataset").returncode == 0
    (tmp_path / "out" / "00001.tar").write_bytes(b"no tar at all")
    samples = LatestSamples(place(tmp_path / "out")).look()
    assert {sample.key[:5] for sample in samples} == {"00000"}
