"""Ranks, as the programs that a scheduler starts: each for itself, over one list and into one folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from img2dataset.formats.dataset import RUNS_FOLDER
from tests.fetching.hosts.test_politeness import most_requests
from tests.pictures import photograph
from tests.program.runs import (
    COMMAND,
    Dataset,
    read_dataset,
    run,
    run_here,
    serve_photographs,
    start,
    write_list,
)
from tests.program.test_faults import wait_until
from tests.servers import ImageServer

ROWS, ROWS_PER_SHARD = 1200, 30
FAULTS = ("/status/404", "/status/503", "/flaky/{}?fail=1", "/lying-gzip", "/close", "/empty", "/not-http")


@pytest.fixture(scope="module")
def url_list(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    addresses = serve_photographs(image_server)
    path = write_list(tmp_path_factory.mktemp("ranks") / "list.txt", addresses, ROWS)
    lines = path.read_text().split()
    for number in range(0, ROWS, 20):  # the web's faults, in every shard
        fault = FAULTS[number // 20 % len(FAULTS)].format(f"ranks-{number}")
        lines[number] = image_server.url(f"{fault}{'&' if '?' in fault else '?'}row={number}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def options(url_list: Path, tmp_path: Path) -> dict[str, Any]:
    return options_of(url_list, tmp_path)


def options_of(url_list: Path, folder: Path) -> dict[str, Any]:
    return {
        "url_list": url_list,
        "output_folder": folder / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 1,
        "image_size": 64,
        "retries": 1,
        "lease_s": 3,
    }


@pytest.fixture(scope="module")
def expected(url_list: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What one program alone makes of the list."""
    options = options_of(url_list, tmp_path_factory.mktemp("alone"))
    result = run(**{**options, "processes_count": 2})
    assert result.returncode == 0, result.stderr
    return read_dataset(options["output_folder"])


def start_rank(options: dict[str, Any], rank: int, world_size: int = 4, **more: Any) -> subprocess.Popen[str]:
    return start(**{**options, **more}, distributor="ranks", rank=rank, world_size=world_size)


def note_of(options: dict[str, Any], rank: int) -> Path:
    """The note that a rank puts when it has prepared its run, and before it makes anything."""
    note: Path = options["output_folder"] / RUNS_FOLDER / f"members/rank-{rank:05d}.json"
    return note


def start_together(options: dict[str, Any], world_size: int) -> list[subprocess.Popen[str]]:
    """Start ranks of which each is held where it begins until all are there: none can be too late."""
    ranks = [start_rank(options, number, world_size) for number in range(world_size)]
    begun: set[int] = set()
    while len(begun) < world_size:
        for number in set(range(world_size)) - begun:
            if note_of(options, number).exists():
                ranks[number].send_signal(signal.SIGSTOP)
                begun.add(number)
            assert ranks[number].poll() is None, ranks[number].communicate()
        time.sleep(0.02)
    for process in ranks:
        process.send_signal(signal.SIGCONT)
    return ranks


def ended(process: subprocess.Popen[str]) -> str:
    """What it said on standard error; it must have done all there was to do."""
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, (stdout, stderr)
    return stderr


def assert_same(made: Dataset, expected: Dataset) -> None:
    """The same shards, keys, metadata and pixels."""
    assert sorted(made.statistics) == sorted(expected.statistics)
    assert made.rows == expected.rows
    assert made.images == expected.images


def test_four_ranks_make_what_one_program_makes(options: dict[str, Any], expected: Dataset) -> None:
    # A rank that has no time for a few seconds is not to be given up.
    ranks = start_together({**options, "lease_s": 60}, 4)
    said = [ended(process) for process in ranks]
    assert not [text for text in said if "WARNING" in text or "ERROR" in text]
    made = read_dataset(options["output_folder"])
    assert_same(made, expected)
    assert len(made.rows) == ROWS
    assert len(made.failures()) >= 5
    notes = sorted((options["output_folder"] / RUNS_FOLDER / "members").glob("*.json"))
    assert [path.stem for path in notes] == [f"rank-{number:05d}" for number in range(4)]
    shards = [json.loads(path.read_text())["shards_done"] for path in notes]
    assert sum(shards) == ROWS // ROWS_PER_SHARD
    assert min(shards) > 0
    assert not (options["output_folder"] / ".img2dataset_leases").exists()
    assert not (options["output_folder"] / ".tmp").exists()


def wait_for_shards(options: dict[str, Any], count: int, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: len(list(options["output_folder"].glob("*_stats.json"))) >= count, process)


def leases_of(options: dict[str, Any], rank: int) -> list[Path]:
    paths = (options["output_folder"] / ".img2dataset_leases").glob("[0-9]*")
    return [path for path in paths if text_of(path).startswith(f"rank-{rank:05d} ")]


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:  # its shard has just been done
        return ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_others_make_what_a_rank_leaves_that_is_killed_or_frozen(
    number: signal.Signals, options: dict[str, Any], expected: Dataset
) -> None:
    ranks = [start_rank(options, rank, 3) for rank in range(3)]
    wait_until(lambda: bool(leases_of(options, 1)), ranks[1])
    wait_for_shards(options, 3, ranks[1])
    os.kill(ranks[1].pid, number)
    try:
        for process in (ranks[0], ranks[2]):
            ended(process)
        left_behind = leases_of(options, 1)
        assert_same(read_dataset_of_others(options), expected)
    finally:
        os.kill(ranks[1].pid, signal.SIGCONT)
    if number == signal.SIGSTOP:
        # It finds nothing left to do, or makes again what others have made: nothing is there twice.
        ended(ranks[1])
        assert_same(read_dataset(options["output_folder"]), expected)
        assert not (options["output_folder"] / ".img2dataset_leases").exists()
    else:
        ranks[1].communicate()
        assert left_behind == []


def read_dataset_of_others(options: dict[str, Any]) -> Dataset:
    """The dataset beside the temporary files of a rank that could not remove them."""
    copy = options["output_folder"].with_name("copy")
    copy.mkdir()
    # Files of finished shards alone: others may vanish meanwhile.
    for path in options["output_folder"].glob("[0-9]*"):
        shutil.copy(path, copy)
    return read_dataset(copy)


def test_the_others_make_the_part_of_a_rank_that_never_starts(
    options: dict[str, Any], expected: Dataset
) -> None:
    ranks = [start_rank(options, number, 4) for number in (0, 1, 3)]
    for process in ranks:
        ended(process)
    assert_same(read_dataset(options["output_folder"]), expected)


def test_a_rank_that_is_added_helps_and_one_that_comes_too_late_has_nothing_to_do(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    rows = 2 * ROWS
    options["url_list"] = write_list(tmp_path / "sound.txt", serve_photographs(image_server), rows)
    options["lease_s"] = 60
    ranks = start_together(options, 2)
    wait_for_shards(options, 1, ranks[0])
    # Held until the third has made something: it must not find everything done.
    for process in ranks:
        process.send_signal(signal.SIGSTOP)
    ranks.append(start_rank(options, 2, 3))
    note = note_of(options, 2)
    wait_until(lambda: note.exists() and json.loads(note.read_text())["shards_done"] > 0, ranks[2])
    for process in ranks:
        process.send_signal(signal.SIGCONT)
    for process in ranks:
        ended(process)
    late = start_rank(options, 1, 2)
    stdout, _ = late.communicate(timeout=120)
    assert late.returncode == 0
    assert "nothing to do" in stdout
    assert read_dataset(options["output_folder"]).statuses() == {"success": rows}


def test_a_rank_that_is_asked_to_stop_gives_back_what_it_has_and_says_run_me_again(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    """One row of the first shard never answers, so the shard cannot be finished within the grace."""
    lines = options["url_list"].read_text().split()
    lines[1] = image_server.url("/hang-before-headers/ranks")
    (tmp_path / "hanging.txt").write_text("\n".join(lines) + "\n")
    options |= {"url_list": tmp_path / "hanging.txt", "timeout": 250, "deadline": 250, "lease_s": 600}
    first = start_rank(options, 0, 2)
    wait_for_shards(options, 2, first)
    first.send_signal(signal.SIGTERM)
    stdout, stderr = first.communicate(timeout=120)
    assert first.returncode == 75, stderr
    assert "the same command goes on" in stderr
    assert "kept of" in stdout
    assert leases_of(options, 0) == []
    assert list((options["output_folder"] / ".img2dataset_unfinished").glob("00000-*"))
    # Another rank goes on at once, although leases would last for ten minutes.
    asked = image_server.count("/hang-before-headers/ranks")
    second = start_rank({**options, "timeout": 2}, 1, 2)
    ended(second)
    assert image_server.count("/hang-before-headers/ranks") > asked
    dataset = read_dataset(options["output_folder"])
    assert len(dataset.rows) == ROWS
    assert not (options["output_folder"] / ".img2dataset_unfinished").exists()


@pytest.mark.parametrize(("grace_s", "seconds", "rows"), [(3, 60, 0), (450, 4, 2)])
def test_downloads_under_way_have_their_share_of_the_grace(
    grace_s: int, seconds: int, rows: int, image_server: ImageServer, tmp_path: Path
) -> None:
    """A row is out for some seconds. Downloads have 0.4 s of three seconds' grace, and 60 s of 450."""
    slow = image_server.url(f"/slow/{grace_s}?seconds={seconds}")
    urls = [image_server.put("/grace.jpg", b"no image"), slow]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    process = start(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        processes_count=1,
        grace_s=grace_s,
        timeout=100,
        output_format="webdataset",
    )
    wait_until(lambda: image_server.count(f"/slow/{grace_s}") > 0, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 143
    assert len(read_dataset(tmp_path / "out").rows) == rows


def test_a_signal_that_reaches_every_process_is_one_stop(options: dict[str, Any], expected: Dataset) -> None:
    """Slurm sends SIGTERM to all processes of a step."""
    process = start_rank({**options, "processes_count": 2}, 0, 1)
    wait_for_shards(options, 3, process)
    os.killpg(process.pid, signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)  # and its script passes on what it was sent itself
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 75, stderr
    assert "worker process" not in stdout + stderr
    ended(start_rank(options, 0, 1))
    assert_same(read_dataset(options["output_folder"]), expected)


ENVIRONMENTS = {
    "own": {"IMG2DATASET_RANK": "{}", "IMG2DATASET_WORLD_SIZE": "2"},
    "kubernetes": {"JOB_COMPLETION_INDEX": "{}", "IMG2DATASET_WORLD_SIZE": "2"},
    "aws": {"AWS_BATCH_JOB_ARRAY_INDEX": "{}", "AWS_BATCH_JOB_ARRAY_SIZE": "2"},
    "torchrun": {"RANK": "{}", "WORLD_SIZE": "2", "LOCAL_RANK": "0"},
}


# Which variables mean what is for ``test_rank_numbers``; here, that ranks with no option divide a list.
@pytest.mark.parametrize(
    "scheduler",
    [
        "own",
        "torchrun",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ENVIRONMENTS
            if name not in ("own", "torchrun")
        ),
    ],
)
def test_the_environment_says_which_rank_it_is(
    scheduler: str, image_server: ImageServer, tmp_path: Path
) -> None:
    address = image_server.put("/environment.jpg", b"no image")
    (tmp_path / "list.txt").write_text("".join(f"{address}?{row}\n" for row in range(40)))
    ranks = [
        start(
            url_list=tmp_path / "list.txt",
            output_folder=tmp_path / "out",
            output_format="webdataset",
            number_sample_per_shard=5,
            processes_count=1,
            distributor="ranks",
            environment={name: value.format(rank) for name, value in ENVIRONMENTS[scheduler].items()},
        )
        for rank in range(2)
    ]
    for process in ranks:
        ended(process)
    assert len(read_dataset(tmp_path / "out").rows) == 40
    notes = sorted(path.stem for path in (tmp_path / f"out/{RUNS_FOLDER}/members").glob("*.json"))
    assert notes == ["rank-00000", "rank-00001"]


def test_two_runs_with_different_options_are_refused(options: dict[str, Any]) -> None:
    ranks = [start_rank({**options, "image_size": size}, rank, 2) for rank, size in ((0, 64), (1, 65))]
    said = [process.communicate(timeout=240)[1] for process in ranks]
    assert sorted(process.returncode for process in ranks) == [0, 1], said
    refused = next(text for text, process in zip(said, ranks, strict=True) if process.returncode)
    assert refused.count("\n") == 1
    assert "holds another dataset: --image_size was" in refused
    assert "Give all ranks the same list and options" in refused
    assert "--incremental_mode" not in refused  # neither of its other modes is for ranks
    assert len(read_dataset(options["output_folder"]).rows) == ROWS


@pytest.mark.parametrize("mode", ["overwrite", "extend", "new_only"])
def test_modes_that_begin_anew_are_refused(mode: str, options: dict[str, Any]) -> None:
    result = run_here(**options, distributor="ranks", rank=0, world_size=2, incremental_mode=mode)
    assert result.returncode == 2
    assert f"--incremental_mode {mode} cannot be used with --distributor ranks" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not options["output_folder"].exists()


def test_a_rank_beside_a_run_that_is_none_is_warned(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    # The run cannot end before the rank has begun.
    gate = f"/later/{uuid4().hex}"
    (tmp_path / "held.txt").write_text(options["url_list"].read_text() + image_server.url(gate))
    options |= {"url_list": tmp_path / "held.txt", "timeout": 250, "deadline": 250}
    alone = start(**options)
    wait_for_shards(options, 1, alone)
    rank = start_rank(options, 0, 2)
    wait_until(note_of(options, 0).exists, rank)
    image_server.put(gate, photograph(80, 60))
    assert f"process {alone.pid} is writing to output_folder" in ended(rank)
    ended(alone)


def test_failures_are_retried_by_the_rank_in_whose_part_they_are(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    """Every row fails once, can pass, and is asked for once more in all."""
    picture = serve_photographs(image_server, 1)[0].partition("/photographs")[2]
    then = f"fail=1&then=/photographs{picture}"
    addresses = [image_server.url(f"/flaky/{tmp_path.name}-{row}?{then}") for row in range(120)]
    (tmp_path / "flaky.txt").write_text("\n".join(addresses))
    options |= {"url_list": tmp_path / "flaky.txt", "retries": 0}
    result = run(**options)
    assert read_dataset(options["output_folder"]).statuses() == {"failed_to_download": 120}, result.stderr
    asked = image_server.count(f"/flaky/{tmp_path.name}-0")
    ranks = [start_rank(options, number, 2, incremental_mode="retry_failed") for number in range(2)]
    for process in ranks:
        ended(process)
    assert read_dataset(options["output_folder"]).statuses() == {"success": 120}
    assert image_server.count(f"/flaky/{tmp_path.name}-0") == asked + 1


def test_leftovers_of_ranks_are_known_to_verify_and_to_overwrite(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    options["url_list"] = write_list(tmp_path / "short.txt", serve_photographs(image_server), 60)
    ended(start_rank(options, 0, 1))
    leases = options["output_folder"] / ".img2dataset_leases"
    leases.mkdir()
    (leases / "00007.1").write_text("rank-00007 elsewhere.1-1-00000000")
    (leases / "member-rank-00007-elsewhere.1-1-00000000").write_text("rank-00007 elsewhere.1-1-00000000 3")
    verify = [COMMAND, "verify", str(options["output_folder"])]
    checked = subprocess.run(verify, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout
    assert "leases" not in checked.stdout
    result = run(**{**options, "incremental_mode": "overwrite"})
    assert result.returncode == 0, result.stderr
    assert not leases.exists()


def test_a_rank_waits_for_what_another_is_at(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    """One shard takes the other rank long; who ends first must not report a dataset that is not whole."""
    lines = write_list(tmp_path / "slow.txt", serve_photographs(image_server), 90).read_text().split()
    lines[35] = image_server.url("/slow/ranks?seconds=8")
    (tmp_path / "slow.txt").write_text("\n".join(lines))
    options |= {"url_list": tmp_path / "slow.txt", "timeout": 60, "lease_s": 60}
    slow = start_rank(options, 1, 2)
    wait_until(lambda: image_server.count("/slow/ranks") > 0, slow)
    ended(start_rank(options, 0, 2))
    assert len(read_dataset_of_others(options).rows) == 90
    ended(slow)
    assert image_server.count("/slow/ranks") == 1


@pytest.mark.parametrize("wrong", [{"rank": 4}, {"rank": 0, "environment": {"RANK": "1", "WORLD_SIZE": "4"}}])
def test_wrong_numbers_are_one_line_before_anything_is_made(
    wrong: dict[str, Any], options: dict[str, Any]
) -> None:
    result = run(**options, distributor="ranks", world_size=4, **wrong)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "rank" in result.stderr
    assert not options["output_folder"].exists()


@pytest.mark.parametrize("number", [{"rank": 0}, {"world_size": 2}])
def test_numbers_without_ranks_are_refused(number: dict[str, int], options: dict[str, Any]) -> None:
    """Else each machine would make the whole dataset."""
    result = run(**options, **number)
    assert result.returncode == 2
    assert "add --distributor ranks" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not options["output_folder"].exists()


@pytest.mark.parametrize("kind", ["json", "memory"])
def test_lists_that_cannot_be_entered_are_shared_too(
    kind: str, options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server)
    urls = [f"{addresses[row % len(addresses)]}?{row}" for row in range(300)]
    options |= {"distributor": "ranks", "world_size": 2, "output_folder": str(options["output_folder"])}
    if kind == "json":
        (tmp_path / "list.json").write_text(json.dumps([{"url": url} for url in urls]))
        options |= {"url_list": str(tmp_path / "list.json"), "input_format": "json"}
        ranks = [start(**options, rank=number) for number in range(2)]
    else:
        options["url_list"] = urls
        code = "import json, sys, img2dataset; img2dataset.download(**json.loads(sys.argv[1]))"
        ranks = [
            subprocess.Popen(
                [sys.executable, "-c", code, json.dumps({**options, "rank": number})],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]
    for process in ranks:
        ended(process)
    rows = read_dataset(Path(options["output_folder"])).rows
    assert [row["url"] for row in rows] == urls


def test_a_rank_that_waits_for_others_can_be_stopped(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    hanging = image_server.url("/hang-before-headers/waiting")
    (tmp_path / "two.txt").write_text("\n".join([f"{hanging}?{row}" for row in range(60)]))
    options |= {"url_list": tmp_path / "two.txt", "timeout": 200, "deadline": 200, "lease_s": 600}
    busy = start_rank(options, 1, 2)
    # Alone, it takes the other part too.
    wait_until(lambda: len(leases_of(options, 1)) == 2, busy)
    waiting = start_rank(options, 0, 2)
    wait_until(note_of(options, 0).exists, waiting)
    time.sleep(3)
    waiting.send_signal(signal.SIGTERM)
    _, stderr = waiting.communicate(timeout=120)
    assert waiting.returncode == 75, stderr
    busy.send_signal(signal.SIGTERM)
    busy.communicate(timeout=120)
    assert busy.returncode == 75
    assert not (options["output_folder"] / ".img2dataset_leases").exists()


@pytest.mark.parametrize(
    "bound", [{"max_connections_per_host": 2, "deadline": 3}, {"max_requests_per_second_per_host": 20}]
)
def test_what_a_host_is_asked_is_bounded_for_all_ranks_together(
    bound: dict[str, int], options: dict[str, Any], tmp_path: Path
) -> None:
    with ImageServer() as server:
        path = "/limited/ranks?per_second=1000" if "deadline" not in bound else "/slow?seconds=0.3"
        rows = 80 if "deadline" not in bound else 16
        (tmp_path / "one_host.txt").write_text(
            "\n".join(f"{server.url(path)}&row={row}" for row in range(rows))
        )
        options |= {"url_list": tmp_path / "one_host.txt", "number_sample_per_shard": rows // 8, **bound}
        ranks = [start_rank({**options, "timeout": 3}, number, 4) for number in range(4)]
        for process in ranks:
            ended(process)
        if "deadline" in bound:
            assert server.statistics()["peak"] == 2
        else:
            times = sorted(server.times("/limited/ranks"))
            assert len(times) == rows
            # They are spaced where they are sent, four seconds in all; on the way, on a busy machine, some
            # are held up and come closer. Ranks that each had the bound would need one second.
            assert most_requests(times, within_s=2.0, after_s=0.0) <= 3 * 20
            assert times[-1] - times[0] >= 0.9 * (rows - 20) / 20
    assert len(read_rows(options["output_folder"])) == rows


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows alone: the bodies are no images."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return [row for table in tables for row in table.to_pylist()]
