from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from img2dataset.errors import MissingDependency, OptionError, OutputError
from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.shard_writer import ShardWriter
from tests.working.shards import input_table, leftovers, settings_for, visible, write_shard


def output(folder: Path | str) -> OutputFolder:
    return OutputFolder(settings_for(folder, "webdataset"))


def test_prepare_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    output(tmp_path / "a/b").prepare()
    assert os.listdir(tmp_path / "a/b") == []


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"file/out' cannot be written to: .+; choose another folder"
    ) as caught:
        output(tmp_path / "file/out").prepare()
    assert "\n" not in str(caught.value)


def test_a_file_in_place_of_the_folder_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url\n")
    with pytest.raises(OutputError, match=r"list.csv' is a file; name a folder"):
        output(tmp_path / "list.csv").prepare()
    assert (tmp_path / "list.csv").read_text() == "url\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        output(tmp_path).prepare()


def test_a_protocol_that_nobody_knows_is_refused() -> None:
    with pytest.raises(OutputError, match="nosuch"):
        output("nosuch://bucket/folder")


def test_a_missing_file_system_package_is_named_with_its_extra() -> None:
    program = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from img2dataset.errors import MissingDependency\n"
        "from img2dataset.working.output_folder import OutputFolder\n"
        "from tests.working.shards import settings_for\n"
        "try:\n"
        "    OutputFolder(settings_for('s3://bucket/out', 'files'))\n"
        "except MissingDependency as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 's3fs>=2024.2'" in result.stdout
    assert issubclass(MissingDependency, ImportError)


def test_an_unknown_output_format_is_refused() -> None:
    with pytest.raises(OptionError, match=r"output_format is 'zip', which no installed package adds"):
        settings_for("out", "zip")


def test_a_shard_is_done_when_it_has_statistics(tmp_path: Path) -> None:
    for name in ("00000_stats.json", "3_stats.json", "0000017_stats.json", "00004.tar", "notes_stats.json"):
        (tmp_path / name).write_text("{}")
    assert output(tmp_path).done_shards() == {0, 3, 17}


def test_a_folder_that_is_not_there_has_no_shards(tmp_path: Path) -> None:
    assert output(tmp_path / "none").done_shards() == set()
    assert output(tmp_path / "none").highest_shard() is None


@pytest.mark.parametrize(
    "name", ["00012_stats.json", "00012.parquet", "00012.tar", "00012.tfrecord", "00012"]
)
def test_anything_of_a_shard_counts_for_the_highest(tmp_path: Path, name: str) -> None:
    (tmp_path / "00003_stats.json").write_text("{}")
    (tmp_path / "2023 notes.txt").write_text("")
    (tmp_path / name).write_text("")
    assert output(tmp_path).highest_shard() == 12


def test_statistics_of_a_finished_shard_are_read(tmp_path: Path) -> None:
    write_shard(settings_for(tmp_path, "webdataset"), shard_id=4)
    assert output(tmp_path).read_stats(4)["count"] == 10
    with pytest.raises(OutputError, match="shard 5 has no statistics"):
        output(tmp_path).read_stats(5)


def test_statistics_cut_short_by_an_older_program_are_named(tmp_path: Path) -> None:
    (tmp_path / "00000_stats.json").write_text('{"count": 1')
    with pytest.raises(OutputError, match=r"00000_stats\.json cannot be read"):
        output(tmp_path).read_stats(0)
    (tmp_path / "00000_stats.json").write_text("[]")
    with pytest.raises(OutputError, match=r"00000_stats\.json is no statistics file"):
        output(tmp_path).read_stats(0)


def test_overwrite_empties_a_folder_that_runs_have_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_shard(settings_for(folder, "files"))
    (folder / "report.html").write_text("")
    (folder / "logs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    output(folder).empty()
    assert os.listdir(folder) == []
    assert (tmp_path / "elsewhere/file").exists()


def test_overwrite_of_an_empty_or_missing_folder_is_no_error(tmp_path: Path) -> None:
    output(tmp_path).empty()
    output(tmp_path / "none").empty()


def test_overwrite_refuses_a_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"thesis\.tex.*overwrite does not empty it"):
        output(tmp_path).empty()
    assert visible(tmp_path) == ["thesis.tex"]


def test_overwrite_refuses_a_folder_whose_one_file_only_names_the_program(tmp_path: Path) -> None:
    (tmp_path / "my-img2dataset-notes.txt").write_text("notes")
    with pytest.raises(OutputError, match="nothing made by img2dataset"):
        output(tmp_path).empty()
    assert (tmp_path / "my-img2dataset-notes.txt").exists()


def test_overwrite_refuses_a_folder_that_holds_the_list(tmp_path: Path) -> None:
    write_shard(settings_for(tmp_path, "webdataset"))
    (tmp_path / "list.txt").write_text("")
    for listed in (str(tmp_path / "list.txt"), f"file://{tmp_path}/list.txt"):
        folder = output(tmp_path)
        folder.prepare(keep=["s3://bucket/other.txt", listed])
        with pytest.raises(OutputError, match=r"list\.txt"):
            folder.empty()
    assert (tmp_path / "list.txt").exists()


@pytest.mark.parametrize("precious", ["home", "above home", "current", "above current"])
def test_overwrite_refuses_the_home_and_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precious: str
) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    if "home" in precious:
        monkeypatch.setenv("HOME", str(inner))
    else:
        monkeypatch.chdir(inner)
    folder = tmp_path / "a" if "above" in precious else inner
    write_shard(settings_for(folder, "webdataset"))
    with pytest.raises(OutputError, match="overwrite does not empty it"):
        output(folder).empty()
    assert "00000.tar" in visible(folder)


RUN_PROGRAM = """
import sys
from img2dataset.working.shard_writer import ShardWriter
from tests.working.shards import input_table, settings_for
writer = ShardWriter(settings_for(sys.argv[1], "webdataset"), 0, input_table(1))
print("open", flush=True)
sys.stdin.read()
"""


def run_in_another_process(folder: Path) -> subprocess.Popen[str]:
    """A run that has a shard open until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_PROGRAM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_temporaries_of_a_live_run_stay_and_those_of_a_dead_one_go(tmp_path: Path) -> None:
    own = ShardWriter(settings_for(tmp_path, "webdataset"), 1, input_table(1))
    with run_in_another_process(tmp_path) as other:
        assert len(leftovers(tmp_path)) == 2
        output(tmp_path).remove_stale_temporaries()
        assert len(leftovers(tmp_path)) == 2
        with pytest.raises(OutputError, match=f"is being written to by process {other.pid}"):
            output(tmp_path).empty()
        other.kill()
        other.wait()
        output(tmp_path).remove_stale_temporaries()
        assert len(leftovers(tmp_path)) == 1
    own.discard()


def test_temporaries_of_an_unknown_origin_stay(tmp_path: Path) -> None:
    for run_id in ("otherhost.4026531836-1-00000000", "something", "otherhost-x-1"):
        (tmp_path / ".tmp" / run_id).mkdir(parents=True)
        (tmp_path / ".tmp" / run_id / "file").write_text("")
    output(tmp_path).remove_stale_temporaries()
    assert len(leftovers(tmp_path)) == 3


def test_a_run_leaves_no_trace_of_its_temporaries(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    ShardWriter(settings, 0, input_table(1))
    folder = OutputFolder(settings)
    folder.remove_own_temporaries()
    assert os.listdir(tmp_path) == []


def test_importing_the_room_loads_no_heavy_package() -> None:
    program = "import json, sys, img2dataset.working.output_folder; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "cv2", "pyarrow", "fsspec", "webdataset"} & set(json.loads(result.stdout))


def test_a_local_name_with_two_colons_is_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a::b", "sub/a::b", str(tmp_path / "x::y")):
        output = OutputFolder(settings_for(name, "files"))
        output.prepare()
        output.write_note("note", "here")
        assert (tmp_path / name / "note").read_text() == "here"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a::b", "sub", "x::y"]
