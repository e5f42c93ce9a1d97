"""Which shards a rank makes, and how often it goes over the list for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

from img2dataset.distributing import engine_settings
from img2dataset.distributing.engine import ReadAnew
from img2dataset.distributing.rank_numbers import Rank
from img2dataset.distributing.share import Share
from img2dataset.errors import OutputError
from img2dataset.options import resolve
from img2dataset.reading import open_reader
from img2dataset.settings import work_settings
from img2dataset.stopping import StopRequest
from img2dataset.storage.leases import Leases
from img2dataset.storage.locations import locate
from img2dataset.types import PlannedShard, ShardReport


class Run:
    """Ranks over a list of 12 shards, in this process; they make nothing but statistics."""

    def __init__(self, folder: Path, kind: str = "txt", lease_s: float = 60) -> None:
        self.folder = folder / "out"
        self.folder.mkdir()
        path = folder / f"list.{kind}"
        rows = [f"http://127.0.0.1/{row}" for row in range(12 * 5)]
        text = (
            "\n".join(rows) if kind == "txt" else "[" + ",".join(f'{{"url": "{row}"}}' for row in rows) + "]"
        )
        path.write_text(text)
        self.options = resolve(
            {
                "url_list": str(path),
                "input_format": kind,
                "output_folder": str(self.folder),
                "number_sample_per_shard": 5,
                "processes_count": 2,
                "lease_s": lease_s,
            }
        )
        self.reader = open_reader(self.options, 5)
        self.readings = 0

    def shards(self, skip: Container[int] = ()) -> ReadAnew:
        def read(skip: Container[int]) -> Iterator[PlannedShard]:
            self.readings += 1
            return self.reader.plan(skip)

        return ReadAnew(read, skip)

    def share(self, number: int, world_size: int, stop: StopRequest | None = None) -> Share:
        settings = work_settings(self.options)
        return Share(Rank(number, world_size), engine_settings(self.options), settings, stop or StopRequest())

    def make(self, share: Share, shards: ReadAnew) -> list[int]:
        made = []
        while share.has_work():
            for shard in share.shards_to_make(shards):
                self.finish(shard.shard_id)
                share.ended(ShardReport(shard.shard_id))
                made.append(shard.shard_id)
        share.close()
        return made

    def finish(self, shard_id: int) -> None:
        (self.folder / f"{shard_id:05d}_stats.json").write_text("{}")


@pytest.fixture(params=["txt", "json"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return Run(tmp_path, request.param)


def test_a_rank_makes_its_part_and_then_what_is_left_each_shard_once(run: Run) -> None:
    assert run.make(run.share(1, 3), run.shards()) == [1, 4, 7, 10, 0, 2, 3, 5, 6, 8, 9, 11]
    assert run.make(run.share(0, 3), run.shards()) == []


def test_what_is_done_and_what_is_not_in_the_pass_is_left_alone(run: Run) -> None:
    run.finish(4)  # by another rank, meanwhile
    run.finish(5)
    assert run.make(run.share(1, 3), run.shards({0, 1, 2})) == [7, 10, 3, 6, 8, 9, 11]


def test_a_list_that_can_be_entered_is_counted_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    share = run.share(0, 4)
    assert len(run.make(share, run.shards())) == 12
    assert run.readings == 1


def test_what_others_have_is_passed_over_and_taken_when_they_give_it_back(run: Run) -> None:
    location = locate(str(run.folder), "output_folder", OutputError)
    other = Leases(location, "rank-00001", "elsewhere.1-1-00000000", 600)
    other.start()
    assert other.take("00000")
    assert other.take("00003")
    share = run.share(0, 3)
    shards = run.shards()
    made = []
    for shard in share.shards_to_make(shards):
        run.finish(shard.shard_id)
        share.ended(ShardReport(shard.shard_id))
        made.append(shard.shard_id)
    assert made == [6, 9, 1, 2, 4, 5, 7, 8, 10, 11]
    run.finish(3)
    other.close()
    assert run.make(share, shards) == [0]


def test_of_others_parts_a_rank_has_no_more_than_it_works_at(run: Run) -> None:
    """With two processes, three: who helps must not keep from others what it has not begun."""
    share = run.share(0, 12)
    given: list[int] = []
    thread = threading.Thread(
        target=lambda: given.extend(shard.shard_id for shard in share.shards_to_make(run.shards()))
    )
    thread.start()
    until = time.monotonic() + 60
    while len(names_of_leases(run)) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(2)  # time for one more
    assert len(names_of_leases(run)) == 3
    share.close()
    thread.join()
    assert len(given) == 3


def test_a_rank_gives_others_up_as_soon_as_its_options_say(tmp_path: Path) -> None:
    share = Run(tmp_path, lease_s=7).share(0, 2)
    assert share._leases._gone_s == 7
    share.close()


def names_of_leases(run: Run) -> list[str]:
    return sorted(path.name for path in (run.folder / ".img2dataset_leases").glob("0*"))


def test_a_closed_share_gives_out_no_more(run: Run) -> None:
    share = run.share(0, 2)
    given = share.shards_to_make(run.shards())
    assert next(given).shard_id == 0
    share.close()
    assert list(given) == []
    assert not (run.folder / ".img2dataset_leases").exists()


def test_a_stop_ends_the_giving_out(run: Run) -> None:
    stop = StopRequest()
    share = run.share(0, 2, stop)
    given = share.shards_to_make(run.shards())
    next(given)
    stop.make(15)
    assert list(given) == []
    assert not share.has_work()
    share.close()
