"""What every engine keeps, with workers that die and rows that are slow where a test says."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from img2dataset.distributing import create_engine, engine_settings, run_passes
from img2dataset.distributing.ray_session import Cluster
from img2dataset.distributing.spark_session import Session
from img2dataset.errors import InputError, OptionError, RunFailed
from img2dataset.options import RunOptions, resolve
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, ShardReport, ShardSpec
from tests.distributing.clusters import children, ray_cluster, spark_cluster
from tests.distributing.killing import Killing, when_shards_are_there
from tests.distributing.one_engine import ENGINE_OPTIONS, ROWS, Run
from tests.distributing.same_dataset import FaultyList, assert_same, make
from tests.pictures import photograph
from tests.program.runs import Dataset
from tests.servers import ImageServer

CLUSTERS = ["pyspark", "ray"]
# The second is that of a package of its own, which ``conftest`` installs.
ENGINES = [
    "multiprocessing",
    "one_process",
    "ranks",
    *(pytest.param(name, marks=pytest.mark.slow) for name in CLUSTERS),
]


@pytest.fixture(scope="module")
def killing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killing]:
    """For this module, what workers are started with lets tests kill them."""
    killing = Killing(tmp_path_factory.mktemp("site"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in killing.environment.items():
            patch.setenv(name, value)
        yield killing


@pytest.fixture(scope="module")
def pyspark(killing: Killing) -> Iterator[None]:
    with spark_cluster() as session:
        yield
        assert len(session.range(1).collect()) == 1, "the session was not the program's to stop"


@pytest.fixture(scope="module")
def ray(killing: Killing) -> Iterator[None]:
    with ray_cluster(nodes=2):
        yield


@pytest.fixture(scope="module", params=ENGINES)
def engine_name(request: pytest.FixtureRequest, killing: Killing) -> str:
    """The name of an engine, whose cluster is there."""
    name: str = request.param
    if name in CLUSTERS:
        request.getfixturevalue(name)
    return name


@pytest.fixture
def run(engine_name: str, image_server: ImageServer, tmp_path: Path, example_package: Path) -> Run:
    return Run(engine_name, image_server, tmp_path / "out")


@pytest.fixture
def kill(killing: Killing) -> Iterator[Callable[[int, int], None]]:
    """Have workers killed, the first ``deaths`` times that one moves a file of ``shard`` into its place."""
    yield killing.script
    killing.end()


def test_there_is_one_report_a_shard_and_the_folder_says_the_same(run: Run) -> None:
    reports = run.reports(run.shard(number) for number in range(6))
    assert {
        number: report.stats.successes for number, report in reports.items() if report.stats
    } == dict.fromkeys(range(6), ROWS)
    dataset = run.dataset()
    assert sorted(dataset.statistics) == [f"{number:05d}" for number in range(6)]
    assert dataset.statuses() == {"success": 6 * ROWS}
    assert run.progress[-1] == {"success": 6 * ROWS}
    assert run.engine.deaths == []


def test_an_engine_makes_several_passes(run: Run) -> None:
    assert list(run.reports([run.shard(0), run.shard(1)])) != []
    assert list(run.reports([run.shard(2)])) == [2]
    assert len(run.dataset().statistics) == 3


def test_shards_are_read_where_they_lie_and_one_that_changed_has_failed(run: Run, tmp_path: Path) -> None:
    if not run.engine.capabilities.restarts_lost_shards:
        pytest.skip("what cannot be read ends the run")
    run.write_list(tmp_path / "urls.txt", shards=3)
    planned = list(run.plan())
    assert all(isinstance(shard, ShardSpec) for shard in planned)
    reports = run.reports(planned[:2])
    assert [report.error for report in reports.values()] == [None, None]
    with open(tmp_path / "urls.txt", "a") as file:
        file.write("http://127.0.0.1/added\n")
    # The first one is what the machines of a cluster are asked for.
    reports = run.reports([run.shard(3), planned[2]])
    assert "changed while it was being read" in str(reports[2].error)
    assert reports[3].error is None
    assert sorted(run.dataset().statistics) == ["00000", "00001", "00003"]
    assert run.dataset().statuses() == {"success": 3 * ROWS}


@pytest.fixture(scope="module")
def faulty(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> FaultyList:
    return FaultyList(image_server, tmp_path_factory.mktemp("lists"), rows=90)


@pytest.fixture(scope="module")
def expected(faulty: FaultyList, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make(faulty.text, tmp_path_factory.mktemp("expected") / "out")[1]


@pytest.mark.parametrize("kind", ["text", "gzip"])
def test_a_whole_run_makes_the_same_dataset(
    engine_name: str,
    faulty: FaultyList,
    expected: Dataset,
    tmp_path: Path,
    example_package: Path,
    kind: str,
) -> None:
    """By place, and as rows where the list cannot be entered."""
    assert len(expected.failures()) >= 5
    own = ENGINE_OPTIONS.get(engine_name, {})
    summary, made = make(
        getattr(faulty, kind), tmp_path / "made", distributor=engine_name, subjob_size=3, **own
    )
    assert_same(made, expected)
    assert (summary.shards, summary.count) == (5, 90)


def test_a_host_sees_no_more_connections_than_the_run_may_have(
    engine_name: str, tmp_path: Path, example_package: Path
) -> None:
    """Two tasks, or nodes, share one connection."""
    # A server of its own: the other may not have noticed yet that connections of earlier tests are closed.
    with ImageServer() as server:
        url = server.put("/polite.jpg", photograph(40, 30))
        (tmp_path / "list.txt").write_text("".join(f"{url}?{row}\n" for row in range(120)))
        bound = {"max_connections_per_host": 1, "deadline": 5, "processes_count": 2}
        own = ENGINE_OPTIONS.get(engine_name, {})
        _, made = make(tmp_path / "list.txt", tmp_path / "out", distributor=engine_name, **bound, **own)
        assert made.statuses() == {"success": 120}
        assert server.statistics()["peak"] == 1


def test_no_shards_are_no_reports(run: Run) -> None:
    assert run.reports([]) == {}


def test_a_slow_shard_does_not_hold_up_the_others(run: Run, image_server: ImageServer) -> None:
    path = f"/later/{uuid4().hex}"
    shards = [run.shard(0, image_server.url(path)), *(run.shard(n) for n in range(1, 6))]
    if run.engine.capabilities.machines:  # shards that are given out together may be told of together
        with when_shards_are_there(run.folder, 5, lambda: image_server.put(path, b"no image")):
            assert list(run.reports(shards))[-1] == 0
        return
    reports = run.engine.run(iter(shards), run.settings)
    assert sorted(report.shard_id for report in itertools.islice(reports, 5)) == [1, 2, 3, 4, 5]
    image_server.put(path, b"no image")
    assert [report.shard_id for report in reports] == [0]


def test_a_shard_whose_worker_is_lost_is_made_again(run: Run, kill: Callable[[int, int], None]) -> None:
    if not run.engine.capabilities.restarts_lost_shards:
        pytest.skip("it does not promise to")
    kill(2, 1)
    reports = run.reports(run.shard(number) for number in range(5))
    assert [report.error for report in reports.values()] == [None] * 5
    assert [death for death in run.engine.deaths if "signal 9" in death] == run.engine.deaths != []
    assert run.dataset().statuses() == {"success": 5 * ROWS}


def test_a_shard_that_kills_each_worker_is_reported_and_costs_no_other(
    run: Run, kill: Callable[[int, int], None]
) -> None:
    if not run.engine.capabilities.restarts_lost_shards:
        pytest.skip("what kills its worker ends the run")
    kill(3, 1000)
    reports = run.reports(run.shard(number) for number in range(5))
    assert [number for number, report in reports.items() if report.error is not None] == [3]
    assert "signal 9" in str(reports[3].error)
    assert sorted(run.dataset().statistics) == ["00000", "00001", "00002", "00004"]


def test_an_error_of_the_list_comes_after_the_shards_before_it(run: Run) -> None:
    def shards() -> Iterator[PlannedShard]:
        yield from (run.shard(0), run.shard(1))
        raise InputError("the list ends in the middle of a row")

    seen = []
    with pytest.raises(InputError, match="in the middle of a row"):
        seen.extend(report.shard_id for report in run.engine.run(shards(), run.settings))
    assert len(run.dataset().statistics) == 2


def test_a_bug_in_what_reads_the_list_is_told_as_such(run: Run) -> None:
    def shards() -> Iterator[PlannedShard]:
        yield run.shard(0)
        raise ZeroDivisionError("a bug")

    def whole_run() -> list[ShardReport]:
        passes = run_passes(lambda skip: shards(), lambda read: run.engine.run(read, run.settings), [], 0)
        return list(passes)

    with pytest.raises(RunFailed, match="reading the list broke off: ZeroDivisionError: a bug"):
        whole_run()
    assert len(run.dataset().statistics) == 1


def test_a_stop_is_followed_and_keeps_what_is_there(run: Run, image_server: ImageServer) -> None:
    if not run.engine.capabilities.stops_gracefully:
        pytest.skip("it does not promise to")

    def stop_when_only_the_slow_row_is_left() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (run.progress and run.progress[-1].total() == ROWS - 1):
            time.sleep(0.05)
        run.stop.make(signal.SIGTERM)

    threading.Thread(target=stop_when_only_the_slow_row_is_left, daemon=True).start()
    reports = run.reports([run.shard(0, image_server.url("/hang-before-headers/engines"))])
    assert reports[0].unfinished is not None
    assert reports[0].unfinished.successes == ROWS - 1
    assert not list(run.folder.glob("*_stats.json"))


def test_nobody_is_left_when_the_consumer_stops(run: Run) -> None:
    before = own_children()
    reports = run.engine.run((run.shard(number) for number in range(50)), run.settings)
    next(reports)
    started = own_children() - before
    reports.close()  # type: ignore[attr-defined]
    assert not own_children() & started


def own_children() -> set[int]:
    return set(children(os.getpid()))


def test_what_an_engine_ships_are_plain_values(run: Run) -> None:
    """They cross to other machines: names of the package, numbers and bytes, and no function."""
    settings = pickle.dumps(run.settings)
    assert pickle.loads(settings) == pickle.loads(settings)
    shard = pickle.loads(pickle.dumps(run.shard(4)))
    assert (shard.shard_id, shard.shard.rows.num_rows) == (4, ROWS)


@pytest.mark.slow
def test_a_spark_session_that_is_there_is_given_what_can_still_be_changed(
    pyspark: None, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"spark.sql.shuffle.partitions": "7", "spark.executor.memory": "9g"}
    session = Session(config, engine_settings(resolve({"url_list": "unused"})))
    assert session.spark.conf.get("spark.sql.shuffle.partitions") == "7"
    (told,) = (record.getMessage() for record in caplog.records if record.name == "img2dataset")
    assert told.startswith("--distributor_config spark.executor.memory has no effect")


@pytest.mark.slow
def test_a_ray_cluster_is_joined_as_the_settings_say_and_only_left(
    ray: None, caplog: pytest.LogCaptureFixture
) -> None:
    import ray as ray_itself

    cluster = Cluster({"namespace": "tests", "log_to_driver": "False"})
    assert ray_itself.get_runtime_context().namespace == "tests"
    Cluster({"namespace": "others"}).close()
    assert "--distributor_config namespace has no effect" in caplog.text
    assert ray_itself.is_initialized()
    cluster.close()
    assert not ray_itself.is_initialized()
    with pytest.raises(RunFailed, match=r"the Ray cluster cannot be used: .*num_cpus"):
        Cluster({"num_cpus": "3"})


def test_an_engine_that_is_not_there_is_named() -> None:
    named = resolve({"url_list": "unused"})
    settings = dataclasses.replace(engine_settings(named), options=RunOptions(distributor="beam"))
    with pytest.raises(OptionError, match="--distributor is 'beam', which no installed package adds"):
        create_engine(settings, lambda statuses: None, StopRequest())
