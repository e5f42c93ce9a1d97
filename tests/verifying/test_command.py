"""``img2dataset verify``: words, what is printed, exit statuses, and processes that die."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from img2dataset.errors import Img2datasetError
from img2dataset.verifying import many_shards
from img2dataset.verifying.command import run
from img2dataset.work_line import QUIET_S
from tests.distributing.clusters import children
from tests.verifying.datasets import check, make_dataset
from tests.work_lines import without_work_lines

PROGRAM = "import sys; from img2dataset.verifying.command import run; sys.exit(run(sys.argv[1:]))"


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *words]


def verify_output(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False)
    done.stderr = without_work_lines(done.stderr)
    return done


def test_a_whole_dataset_exits_with_0_and_one_line(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    done = verify_output(str(tmp_path))
    expected = f"{tmp_path}: shards: 3 good; 30 rows, 21 successes\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_a_bad_shard_exits_with_1_and_is_named_with_its_reasons(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / "00001.tar").write_bytes(b"")
    (tmp_path / "00002_stats.json").write_text("{")
    done = verify_output(str(tmp_path), "--images", "--processes_count", "2")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "bad: 00001: 00001.tar is broken: it ends at byte 0 without the end mark of a tar",
        "bad: 00002: 00002_stats.json is no JSON",
        f"{tmp_path}: shards: 1 good, 2 bad; 30 rows, 21 successes, 14 images looked at",
        "to mend it:",
        f"  img2dataset verify {tmp_path} --remove",
        "  the command that made the dataset",
    ]
    assert verify_output(str(tmp_path), "--remove").returncode == 1
    assert sorted(path.name for path in tmp_path.glob("0*")) == [
        "00000.parquet", "00000.tar", "00000_stats.json"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a", "b"],
        ["a", "--image"],
        ["a", "--processes_count", "x"],
        ["a", "--processes_count=0"],
    ],
    ids=str,
)
def test_wrong_usage_is_one_line_and_exits_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("img2dataset: ")
    assert printed.err.count("\n") == 1


def test_a_folder_that_does_not_exist_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(tmp_path / "nowhere")]) == 1
    assert (
        capsys.readouterr().err
        == f"img2dataset: output_folder {str(tmp_path / 'nowhere')!r} does not exist; name the output folder"
        " of a run\n"
    )


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_a_short_page(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([word]) == 0
    page = capsys.readouterr().out
    assert "--processes_count N" in page
    assert len(page.splitlines()) < 20


def test_a_terminal_gets_a_progress_line_where_it_takes_a_while(tmp_path: Path) -> None:
    make_dataset(tmp_path, "dummy")
    statistics = (tmp_path / "00001_stats.json").read_bytes()
    pipe = put_a_pipe(tmp_path / "00001_stats.json")
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(command(str(tmp_path)), stdout=subprocess.DEVNULL, stderr=end)
    os.close(end)
    with pipe.open("wb") as file:
        time.sleep(QUIET_S)
        file.write(statistics)
    assert process.wait(120) == 0
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert "verifying:" in shown
    assert "/3 [" in shown


def test_a_script_without_a_guard_works(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    script = tmp_path / "script.py"
    script.write_text(
        "from img2dataset.verifying import verify\n"
        f"print(verify({str(tmp_path)!r}, processes_count=2).exit_status)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, without_work_lines(done.stderr)) == ("0\n", "")


def test_a_process_that_is_killed_costs_one_shard_its_check(tmp_path: Path) -> None:
    """Killed for memory, or crashed by an image: the shard is named, and not called broken."""
    make_dataset(tmp_path, "webdataset", shards=6)
    pipe = put_a_pipe(tmp_path / "00002_stats.json")
    process = subprocess.Popen(
        command(str(tmp_path), "--processes_count", "2"), stdout=subprocess.PIPE, text=True
    )
    with pipe.open("wb"):  # waits for a reader, which from here on waits for contents
        os.kill(child_that_reads(process.pid, pipe), signal.SIGKILL)
        stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert stdout.splitlines()[:2] == [
        "could not be checked: 00002: the process that checked it ended with status -9;"
        " a lower --processes_count needs less memory",
        f"{tmp_path}: shards: 5 good, 1 could not be checked; 50 rows, 35 successes",
    ]


def test_a_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    pipe = put_a_pipe(tmp_path / "00001_stats.json")
    words = command(str(tmp_path), "--processes_count", "2")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    with pipe.open("wb"):
        child = child_that_reads(process.pid, pipe)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert without_work_lines(stderr) == "img2dataset: stopped; nothing more was checked\n"
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_processes_that_are_used_up_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(tmp_path, "webdataset")

    def start_none(*arguments: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(many_shards, "Child", start_none)
    with pytest.raises(
        Img2datasetError, match=r"no process to check shards in can be started: .*unavailable"
    ):
        check(tmp_path, processes_count=2)


def put_a_pipe(path: Path) -> Path:
    """A file that takes as long to read as the test likes."""
    path.unlink()
    os.mkfifo(path)
    return path


def child_that_reads(parent: int, path: Path) -> int:
    """Waits for it: who opens a pipe wakes the other side before the file is among its own."""
    until = time.monotonic() + 120
    while True:
        for child in children(parent):
            if str(path) in files_of(child):
                return child
        assert time.monotonic() < until
        time.sleep(0.01)


def files_of(process: int) -> list[str]:
    found = []
    with contextlib.suppress(OSError):  # it has ended
        for file in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):  # it has been closed meanwhile
                found.append(os.readlink(file))
    return found


def test_progress_is_told_shard_by_shard(tmp_path: Path) -> None:
    make_dataset(tmp_path, "dummy", shards=4)
    told: list[tuple[int, int]] = []
    check(tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_statistics_of_processes_agree_with_those_of_one(tmp_path: Path) -> None:
    make_dataset(tmp_path, "files", shards=5)
    for name in ("00001", "00003"):
        document = json.loads((tmp_path / f"{name}_stats.json").read_text())
        (tmp_path / f"{name}_stats.json").write_text(json.dumps(document | {"count": 11}))
    assert check(tmp_path, processes_count=3).lines() == check(tmp_path).lines()
