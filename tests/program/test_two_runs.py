"""Two runs in one folder, and lists that leave no mark: never two datasets in one folder without a word."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from img2dataset import download
from img2dataset.errors import OutputError
from img2dataset.manifest import MANIFEST_NAME
from tests.pictures import photograph
from tests.program.runs import COMMAND, read_dataset, run, serve_photographs, start, words, write_list
from tests.program.test_faults import wait_until
from tests.servers import ImageServer


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": 10,
        "processes_count": 1,
        "image_size": 64,
    }


def test_of_two_lists_started_in_the_same_moment_one_is_refused(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server, 3)
    lists = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for number, path in enumerate(lists):
        path.write_text("".join(f"{addresses[0]}?{number}-{row}\n" for row in range(30)))
    for attempt in range(6):
        folder = tmp_path / f"out{attempt}"
        both = [start(**{**options, "output_folder": folder}, url_list=path) for path in lists]
        said = [process.communicate(timeout=240)[1] for process in both]
        assert sorted(process.returncode for process in both) == [0, 1], said
        assert sum("holds another dataset" in text for text in said) == 1
        rows = read_dataset(folder).rows
        assert len({row["url"].rpartition("?")[2][0] for row in rows}) == 1
        assert len(rows) == 30


@pytest.mark.parametrize(
    ("first_mode", "mode"),
    [
        ("extend", "extend"),
        ("incremental", "new_only"),
        pytest.param("new_only", "new_only", marks=pytest.mark.slow),
        pytest.param("incremental", "extend", marks=pytest.mark.slow),
    ],
)
def test_another_list_is_not_added_while_a_run_makes_its_shards(
    first_mode: str, mode: str, options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    """Both would give the same numbers to their shards, and the rows of one be lost."""
    paths = [f"/later/{first_mode}/{mode}/{n}" for n in range(20)]
    late = [image_server.url(path) for path in paths]
    (tmp_path / "a.txt").write_text("\n".join(late))
    other = write_list(tmp_path / "b.txt", serve_photographs(image_server, 3), 20)
    first = start(**options, url_list=tmp_path / "a.txt", incremental_mode=first_mode, timeout=240)
    wait_until(lambda: image_server.count(paths[0]) > 0, first)
    refused = run(**options, url_list=other, incremental_mode=mode)
    for path in paths:
        image_server.put(path, photograph(80, 60))
    assert refused.returncode == 1
    assert f"is being written to by process {first.pid}" in refused.stderr
    first.communicate(timeout=240)
    assert first.returncode == 0
    assert run(**options, url_list=other, incremental_mode=mode).returncode == 0
    rows = Counter(row["url"] for row in read_dataset(options["output_folder"]).rows)
    expected = [*late, *(other.read_text().split())]
    assert rows == Counter(expected if mode == "extend" else set(expected))


def test_a_second_equal_run_says_that_both_do_everything(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    paths = [f"/later/two/{n}" for n in range(10)]
    (tmp_path / "list.txt").write_text("\n".join(map(image_server.url, paths)))
    first = start(**options, url_list=tmp_path / "list.txt", timeout=240)
    wait_until(lambda: image_server.count(paths[0]) == 1, first)
    second = start(**options, url_list=tmp_path / "list.txt", timeout=240)
    # Both have begun before either can end.
    wait_until(lambda: image_server.count(paths[0]) == 2, second)
    for path in paths:
        image_server.put(path, photograph(80, 60))
    _, said_by_second = second.communicate(timeout=240)
    assert f"process {first.pid} is writing to output_folder" in said_by_second
    assert "runs do not share their shards" in said_by_second
    _, said = first.communicate(timeout=240)
    assert first.returncode == second.returncode == 0
    assert "is writing to output_folder" not in said
    assert len(read_dataset(options["output_folder"]).rows) == 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": 65},
        {"incremental_mode": "new_only", "output_format": "files"},
        {"incremental_mode": "retry_failed", "compute_hash": "md5"},
    ],
)
def test_a_refused_call_is_no_run_that_is_at_work(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    options["url_list"] = write_list(tmp_path / "list.txt", serve_photographs(image_server, 2), 4)
    assert run(**options).returncode == 0
    # This process lives on, as a notebook's does.
    with pytest.raises(OutputError):
        download(**{name: str(value) for name, value in {**options, **wrong}.items()})
    assert "is writing to output_folder" not in run(**options).stderr
    assert not (options["output_folder"] / ".tmp").exists()


def through_a_pipe(options: dict[str, Any], text: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "--url_list=/dev/stdin", *words(options)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("output_format", ["webdataset", "parquet", "dummy"])
def test_another_list_on_a_pipe_is_not_taken_for_the_one_that_is_done(
    output_format: str, options: dict[str, Any], image_server: ImageServer
) -> None:
    addresses = serve_photographs(image_server, 3)
    options["output_format"] = output_format
    lists = ["".join(f"{addresses[n % 3]}?{name}{n}\n" for n in range(25)) for name in ("a", "b")]
    assert through_a_pipe(options, lists[0]).returncode == 0
    other = through_a_pipe(options, lists[1])
    assert other.returncode == 1
    expected = "do not say from which rows" if output_format == "dummy" else "was made from other rows"
    assert expected in other.stdout + other.stderr
    again = through_a_pipe(options, lists[0])
    assert again.returncode == (1 if output_format == "dummy" else 0), again.stdout


def test_a_list_on_a_pipe_goes_on_where_it_stopped(
    options: dict[str, Any], image_server: ImageServer
) -> None:
    addresses = serve_photographs(image_server, 3)
    text = "".join(f"{addresses[n % 3]}?{n}\n" for n in range(25))
    assert through_a_pipe(options, text).returncode == 0
    for path in options["output_folder"].glob("00001*"):
        path.unlink()
    assert through_a_pipe(options, text).returncode == 0
    assert Counter(row["url"] for row in read_dataset(options["output_folder"]).rows) == Counter(text.split())


IN_MEMORY = """
import json, sys
from img2dataset import download
options = json.loads(sys.argv[1])
download(url_list=json.loads(sys.argv[2]), **options)
"""


def test_another_list_in_memory_is_not_taken_for_the_one_that_is_done(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server, 3)
    python = str(Path(COMMAND).with_name("python"))
    results = []
    for name in ("a", "b", "a"):
        urls = json.dumps([f"{addresses[n % 3]}?{name}{n}" for n in range(15)])
        given = json.dumps({**options, "output_folder": str(options["output_folder"])})
        command = [python, "-c", IN_MEMORY, given, urls]
        results.append(subprocess.run(command, capture_output=True, text=True, timeout=120))
    assert [result.returncode for result in results] == [0, 1, 0], results[1].stderr
    assert "was made from other rows than this list has" in results[1].stderr


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"first_shard_id": "0"}, "its first_shard_id is '0'"),
        ({"options": []}, r"its options is \[\]"),
        ({"files": [{"name": "a"}]}, "a file of its list is"),
        ({"files": None}, "its files is None"),
        ({"gaps": ["x"]}, "its gaps are"),
        ({"ended": "yesterday"}, "its ended is 'yesterday'"),
        ({"colour": 1}, "it has 'colour'"),
    ],
)
def test_a_record_of_wrong_types_is_one_clear_line(
    spoilt: dict[str, Any], said: str, options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    import re

    options["url_list"] = write_list(tmp_path / "list.txt", serve_photographs(image_server, 2), 5)
    assert run(**options).returncode == 0
    path = options["output_folder"] / MANIFEST_NAME
    document = json.loads(path.read_text())
    document["runs"][0] |= spoilt
    path.write_text(json.dumps(document))
    result = run(**options)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert re.search(rf"cannot be understood \({said}.*\); remove it to go on", result.stderr)


def test_a_file_in_place_of_the_temporary_folder_is_one_clear_line(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    options["url_list"] = write_list(tmp_path / "list.txt", serve_photographs(image_server, 2), 5)
    options["output_folder"].mkdir()
    (options["output_folder"] / ".tmp").write_text("a file")
    result = run(**options)
    assert result.returncode == 1
    assert ".tmp" in result.stderr
    assert "remove it" in result.stderr
    assert "Traceback" not in result.stderr
