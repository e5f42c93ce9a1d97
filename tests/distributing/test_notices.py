"""What members find that the user is to know, such as a missing contact, is said by the program, once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from img2dataset.distributing.cluster_engine import ClusterEngine
from img2dataset.distributing.engine import engine_settings
from img2dataset.distributing.member import Member, member_task
from img2dataset.distributing.member_notes import MEMBERS_FOLDER
from img2dataset.distributing.spark_task import TaskSaid, said_of_text
from img2dataset.options import Options, resolve
from img2dataset.reading import open_reader
from img2dataset.settings import work_settings
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, RowsSpec, Shard
from tests.pictures import photograph
from tests.servers import ImageServer

SAID = "127.0.0.1 asks for a contact in the User-Agent"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Its ``messages`` are what the user was warned of."""
    with caplog.at_level(logging.WARNING, "img2dataset"):
        yield caplog


def options_for(tmp_path: Path, urls: list[str], **more: Any) -> Options:
    (tmp_path / "list.txt").write_text("".join(f"{url}\n" for url in urls))
    (tmp_path / "policies.yaml").write_text("127.0.0.1: {contact: true}")
    given = {"url_list": str(tmp_path / "list.txt"), "output_folder": str(tmp_path / "out")}
    given["host_policies"] = str(tmp_path / "policies.yaml")
    return resolve({**given, "number_sample_per_shard": 2, **more})


def planned(options: Options) -> list[PlannedShard]:
    return list(open_reader(options, 2).plan())


def cluster_engine(options: Options) -> ClusterEngine:
    return ClusterEngine(engine_settings(options), lambda rows: None, StopRequest())


def test_the_program_says_it_of_the_first_shard_before_that_is_given_out(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    options = options_for(tmp_path, ["http://127.0.0.1/a.jpg"] * 4)
    engine = cluster_engine(options)
    shards = engine.looked_at(planned(options), work_settings(options))
    next(shards)
    assert [text.startswith(SAID) for text in said.messages] == [True]
    # Members find it in the others, each for itself.
    for _ in range(3):
        engine.tell(said.messages[0])
    assert [shard.shard_id for shard in shards] == [1]
    list(engine.looked_at(planned(options), work_settings(options)))  # the next pass
    assert len(said.messages) == 1


@pytest.mark.parametrize("contact", [None, "me@example.org"])
def test_of_rows_that_travel_the_program_sees_all(
    tmp_path: Path, said: pytest.LogCaptureFixture, contact: str | None
) -> None:
    options = options_for(tmp_path, ["http://127.0.0.1/"], contact=contact)
    shards = [
        RowsSpec(Shard(number, pa.table({"url": [url]})))
        for number, url in enumerate(["http://127.0.0.2/", "http://127.0.0.1/", "http://127.0.0.1/"])
    ]
    looked_at = cluster_engine(options).looked_at(shards, work_settings(options))
    assert len(list(zip(range(1), looked_at, strict=False))) == 1
    assert len(said.messages) == 0
    list(looked_at)
    assert len(said.messages) == (contact is None)


def test_a_first_shard_that_cannot_be_read_is_left_to_its_member(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    options = options_for(tmp_path, ["http://127.0.0.1/"] * 4)
    shards = planned(options)
    (tmp_path / "list.txt").write_text("changed\n")
    assert list(cluster_engine(options).looked_at(shards, work_settings(options))) == shards
    assert len(said.messages) == 0


def test_a_member_hands_it_on_and_keeps_it_in_its_note(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    with ImageServer() as server:
        url = server.put("/a.jpg", photograph(40, 30))
        options = options_for(tmp_path, [f"{url}?{row}" for row in range(6)], processes_count=1)
        task = member_task(engine_settings(options), work_settings(options))
        told: list[str] = []
        member = Member(task, "one", 1, 60.0, tell=told.append)
        reports = list(member.make(planned(options)))
        list(member.make(planned(options)[:1]))
    assert [report.stats.successes for report in reports if report.stats] == [2, 2, 2]
    assert len(told) == 1
    assert told[0].startswith(SAID)
    assert member.notices == told
    note = json.loads((tmp_path / "out" / MEMBERS_FOLDER / "one.json").read_text())
    assert note["notices"] == told
    assert len(said.messages) == 0
    assert said_of_text(TaskSaid(notice=told[0]).to_text()).notice == told[0]
