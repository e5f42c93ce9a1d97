"""Finished shards are uploaded while the next ones are made; a store that is away is waited for."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.types import Shard, ShardReport
from img2dataset.working import Worker, uploads, work
from img2dataset.working import worker as worker_module
from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.sharing import Stop
from tests.pictures import photograph
from tests.servers import ImageServer
from tests.storage.stores import UnsteadyStore
from tests.working.shards import settings_for
from tests.working.test_worker import settings, shards_of

WAIT_S = 120.0


class GatedStore(UnsteadyStore):
    """A store that asks ``gate`` before each upload, with the name of the object."""

    protocol = "gated"
    gate: Callable[[str], None] = staticmethod(lambda name: None)

    unanswered: ClassVar[list[Exception]] = []

    # By the name of a file, how often it cannot be read.
    unread: ClassVar[dict[str, int]] = {}

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        self._read(path)
        return super().cat_file(path, *arguments, **options)

    def get_file(self, rpath: str, lpath: str, *arguments: Any, **options: Any) -> None:
        self._read(rpath)
        super().get_file(rpath, lpath, *arguments, **options)

    def _open(self, path: str, mode: str = "rb", *arguments: Any, **options: Any) -> Any:
        if mode == "rb":
            self._read(path)
        return super()._open(path, mode, *arguments, **options)

    def _read(self, path: str) -> None:
        name = path.rpartition("/")[2]
        if self.unread.get(name, 0) > 0:
            self.unread[name] -= 1
            raise OSError("503 SlowDown")

    def exists(self, path: str, **options: Any) -> bool:
        failure = None
        with contextlib.suppress(IndexError):
            failure = self.unanswered.pop()
        if failure is not None:
            raise failure
        return bool(super().exists(path, **options))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        type(self).gate(rpath.rpartition("/")[2])
        super().put_file(lpath, rpath, **options)


@pytest.fixture
def folder(unsteady_folder: str, spool: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    fsspec.register_implementation("gated", GatedStore, clobber=True)
    monkeypatch.setattr(uploads, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(GatedStore, "gate", staticmethod(lambda name: None))
    return unsteady_folder.replace("unsteady", "gated")


@pytest.fixture
def addresses(image_server: ImageServer) -> list[str]:
    return [image_server.put("/uploads/a.jpg", photograph(64, 48))]


def stands(folder: str, name: str) -> bool:
    return bool(fsspec.filesystem("gated").exists(f"{folder}/{name}"))


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def make(folder: str, addresses: list[str], *numbers: int, **options: Any) -> Iterator[ShardReport]:
    return work(shards_of(addresses, 4, *numbers), settings(folder, number_sample_per_shard=4, **options))  # type: ignore[arg-type]


def test_a_shard_is_uploaded_while_the_next_one_is_made(
    folder: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    another = threading.Event()

    def gate(name: str) -> None:
        if name == "00000.tar":
            assert another.wait(WAIT_S), "nothing else was uploaded meanwhile"
        elif name.startswith("00001"):
            another.set()

    monkeypatch.setattr(GatedStore, "gate", staticmethod(gate))
    reports = list(make(folder, addresses, 0, 1, 2))
    assert {report.shard_id for report in reports if report.stats is not None} == {0, 1, 2}


def test_a_shard_is_reported_when_its_statistics_stand_which_come_last(
    folder: str, addresses: list[str], spool: Path
) -> None:
    seen = 0
    for report in make(folder, addresses, *range(6)):
        assert stands(folder, f"{report.shard_id:05d}_stats.json")
        seen += 1
    assert seen == 6
    for number in range(6):
        of_shard = [name for name in UnsteadyStore.uploads if name.startswith(f"{number:05d}")]
        assert of_shard[-1] == f"{number:05d}_stats.json"
        assert len(of_shard) == 3
    assert not list(spool.iterdir())


def test_a_store_that_takes_nothing_fills_no_disk_and_its_shards_are_made_when_it_does(
    folder: str, addresses: list[str], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    handed_out: list[int] = []

    def gate(name: str) -> None:
        assert goes_on.wait(WAIT_S)

    def shards() -> Iterator[Shard]:
        for number in range(60):
            handed_out.append(number)
            yield from shards_of(addresses, 4, number)

    monkeypatch.setattr(GatedStore, "gate", staticmethod(gate))
    reports: list[ShardReport] = []
    made = settings(folder, number_sample_per_shard=4, thread_count=4)  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: reports.extend(work(shards(), made)))
    thread.start()
    try:
        wait_for(lambda: len(list(spool.glob("*/*_stats.json"))) >= uploads.MOST_FINISHED_SHARDS)
        time.sleep(1.0)
        # Beside those, what was open when the last of them was finished.
        assert len(handed_out) < 20
    finally:
        goes_on.set()
        thread.join()
    assert sorted(report.shard_id for report in reports if report.stats is not None) == list(range(60))


def test_a_refused_upload_is_its_shard_s_failure_at_once(
    folder: str, addresses: list[str], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate(name: str) -> None:
        if name.startswith("00001"):
            raise PermissionError("The provided token has expired.")

    monkeypatch.setattr(GatedStore, "gate", staticmethod(gate))
    reports = {report.shard_id: report for report in make(folder, addresses, 0, 1, 2)}
    assert reports[1].error == "PermissionError: The provided token has expired."
    assert reports[0].stats is not None
    assert reports[2].stats is not None
    assert not stands(folder, "00001_stats.json")
    assert not list(spool.iterdir())


def test_a_store_that_is_away_is_waited_for_and_told_of_once(
    folder: str, addresses: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    UnsteadyStore.failures.extend(OSError("503 SlowDown") for _ in range(40))
    with caplog.at_level(logging.WARNING):
        reports = list(make(folder, addresses, 0, 1, 2, 3))
    assert all(report.stats is not None for report in reports)
    told = [record.getMessage() for record in caplog.records if "store of the output" in record.getMessage()]
    assert len(told) == 2
    assert "is away: OSError: 503 SlowDown; finished shards wait for it, for 3600 s" in told[0]
    assert "is back after" in told[1]


class CannotConnect(Exception):
    """As the libraries of stores raise, which is no OSError."""


def test_a_shard_that_cannot_be_opened_while_the_store_is_away_is_opened_later(
    folder: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "OPENED_AGAIN_S", 0.05)
    monkeypatch.setattr(GatedStore, "unanswered", [CannotConnect("no route") for _ in range(12)])
    reports = list(make(folder, addresses, 0, 1, 2))
    assert not [report for report in reports if report.error], reports
    assert sorted(report.shard_id for report in reports if report.stats is not None) == [0, 1, 2]
    assert caplog.text.count("is away: CannotConnect: no route") == 1


@pytest.mark.parametrize("name", ["00000_stats.json", "00000.parquet", "00000.tar"])
def test_a_finished_shard_that_cannot_be_read_while_the_store_is_away_is_retried_later(
    folder: str, image_server: ImageServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(worker_module, "OPENED_AGAIN_S", 0.05)
    image_server.put("/uploads/then.jpg", photograph(64, 48))
    addresses = [
        image_server.put("/uploads/a.jpg", photograph(64, 48)),
        image_server.url(f"/flaky/uploads-{name}?fail=1&then=/uploads/then.jpg"),
    ]
    rows = {"number_sample_per_shard": 2}
    [report] = work(shards_of(addresses, 2, 0), settings(folder, **rows))  # type: ignore[arg-type]
    assert report.stats is not None
    assert report.stats.successes == 1
    monkeypatch.setattr(GatedStore, "unread", {name: 12})
    [report] = work(
        shards_of(addresses, 2, 0),
        settings(folder, **rows, incremental_mode="retry_failed"),  # type: ignore[arg-type]
    )
    assert report.error is None, report.error
    assert report.stats is not None
    assert report.stats.successes == 2
    assert GatedStore.unread == {name: 0}


def test_what_a_stop_has_kept_is_used_when_the_store_is_back(
    folder: str, image_server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "OPENED_AGAIN_S", 0.05)
    address = image_server.put("/uploads/kept.jpg", photograph(64, 48))
    hanging = image_server.url("/hang-before-headers/uploads-kept")
    done: list[str] = []
    made = settings(folder, number_sample_per_shard=2, timeout=240)  # type: ignore[arg-type]
    worker = Worker(made, on_progress=done.extend)

    def stop() -> None:
        wait_for(lambda: image_server.count("/hang-before-headers/uploads-kept"))
        wait_for(lambda: done)
        worker.instruct(Stop(0.1))

    threading.Thread(target=stop).start()
    [report] = worker.run(shards_of([address, hanging], 2, 0))
    assert report.unfinished is not None
    asked = image_server.count("/uploads/kept.jpg")
    monkeypatch.setattr(GatedStore, "unread", {"00000_stats.json": 12})
    [report] = work(
        shards_of([address, hanging], 2, 0),
        settings(folder, number_sample_per_shard=2, timeout=0.5),  # type: ignore[arg-type]
    )
    assert report.stats is not None, report.error
    assert report.stats.successes == 1
    assert image_server.count("/uploads/kept.jpg") == asked


@pytest.mark.parametrize("patience", [0, 0.2])
def test_patience_with_a_store_has_an_end(folder: str, addresses: list[str], patience: float) -> None:
    UnsteadyStore.failures.extend(OSError("503 SlowDown") for _ in range(100_000))
    [report] = make(folder, addresses, 0, store_patience=patience)
    UnsteadyStore.failures.clear()
    assert report.error == "OSError: 503 SlowDown"


def test_a_stop_waits_for_the_upload_under_way_and_not_for_a_store_that_is_away(
    folder: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, refused = threading.Event(), threading.Event()
    stopped = threading.Event()

    def gate(name: str) -> None:
        if name.startswith("00001"):
            refused.set()
            raise OSError("503 SlowDown")
        begun.set()
        assert stopped.wait(WAIT_S)

    monkeypatch.setattr(GatedStore, "gate", staticmethod(gate))
    worker = Worker(settings(folder, number_sample_per_shard=4))  # type: ignore[arg-type]

    def shards() -> Iterator[Shard]:
        yield from shards_of(addresses, 4, 0, 1)
        threading.Event().wait()  # the list goes on, and has nothing yet

    def stop() -> None:
        assert begun.wait(WAIT_S)
        assert refused.wait(WAIT_S)
        worker.instruct(Stop(0.2))
        time.sleep(1)
        stopped.set()

    threading.Thread(target=stop).start()
    reports = {report.shard_id: report for report in worker.run(shards())}
    assert reports[0].stats is not None
    assert reports[1].error == "OSError: 503 SlowDown"


def test_an_upload_that_hangs_is_told_from_one_that_waits_for_its_store(
    folder: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(GatedStore, "gate", staticmethod(lambda name: goes_on.wait(WAIT_S)))
    monkeypatch.setattr(uploads, "FIRST_WAIT_S", 30.0)
    worker = Worker(settings(folder, number_sample_per_shard=4))  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: list(worker.run(shards_of(addresses, 4, 0))))
    thread.start()
    try:
        wait_for(lambda: worker.step_s > 2)
        UnsteadyStore.failures.extend(OSError("503 SlowDown") for _ in range(5))
        goes_on.set()
        wait_for(lambda: "is away" in caplog.text)
        wait_for(lambda: worker.step_s < 1.5)
        time.sleep(2)
        # Were it the same step, it would last for two seconds by now, and for ever longer.
        wait_for(lambda: worker.step_s < 1.5)
        worker.instruct(Stop(0.0))
    finally:
        goes_on.set()
        thread.join(WAIT_S)
    assert not thread.is_alive()


def test_shards_wait_for_their_upload_where_the_user_says(
    folder: str, addresses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = tmp_path / "chosen" / "spool"
    seen: list[int] = []
    monkeypatch.setattr(
        GatedStore, "gate", staticmethod(lambda name: seen.append(len(list(chosen.glob("*/00000.tar")))))
    )
    [report] = make(folder, addresses, 0, spool_folder=str(chosen))
    assert report.stats is not None
    assert seen[0] == 1
    assert not list(chosen.iterdir())


def test_a_spool_that_cannot_be_is_told_in_one_line(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = OutputFolder(settings_for(folder, "webdataset", spool_folder=str(tmp_path / "file" / "spool")))
    with pytest.raises(OutputError, match=r"--spool_folder '.*file/spool' cannot be written to: .*Not a dir"):
        output.prepare()


def test_leftovers_of_dead_runs_in_that_spool_are_removed(folder: str, tmp_path: Path) -> None:
    made = settings_for(folder, "webdataset", spool_folder=str(tmp_path / "chosen"))
    output = OutputFolder(made)
    output.prepare()
    leftover = tmp_path / "chosen" / f"img2dataset-{made.run_id}-00000-abcdefgh"
    leftover.mkdir()
    output.remove_own_temporaries()
    assert not leftover.exists()
