"""A run that is told to stop ends soon, says how to go on, and leaves nothing half-written behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import photograph
from tests.program.runs import COMMAND, read_dataset, run, serve_photographs, start, write_list
from tests.program.test_faults import is_gone, wait_until, workers_of
from tests.servers import ImageServer


@pytest.fixture
def options(image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    addresses = serve_photographs(image_server)
    return {
        "url_list": write_list(tmp_path / "list.txt", addresses, 20_000),
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": 200,
        "processes_count": 2,
        "image_size": 64,
    }


def run_for_a_while(options: dict[str, Any]) -> subprocess.Popen[str]:
    process = start(**options)
    wait_until(lambda: len(list(options["output_folder"].glob("*_stats.json"))) >= 3, process)
    return process


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + 120
    while not all(is_gone(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "exit_status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_a_signal_stops_the_run_which_the_same_command_goes_on_with(
    number: signal.Signals, exit_status: int, options: dict[str, Any]
) -> None:
    process = run_for_a_while(options)
    workers = workers_of(process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == exit_status, stderr
    assert "Traceback" not in stderr
    assert "the same command goes on" in stderr
    assert "rows in" in stdout
    assert all(is_gone(pid) for pid in workers)
    before = read_dataset(options["output_folder"])
    assert 600 <= len(before.rows) < 20_000
    assert not list(options["output_folder"].glob(".tmp"))


def test_going_on_after_a_stop_completes_the_dataset(
    options: dict[str, Any], image_server: ImageServer
) -> None:
    write_list(options["url_list"], serve_photographs(image_server), 3000)
    process = run_for_a_while(options)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=240)
    result = run(**options)
    assert result.returncode == 0, result.stderr
    assert read_dataset(options["output_folder"]).statuses() == {"success": 3000}


def test_shards_whose_downloads_have_begun_are_still_committed(
    image_server: ImageServer, tmp_path: Path
) -> None:
    """One row is out when the stop comes, and is answered after it."""
    addresses = serve_photographs(image_server, 4)
    urls = [*(f"{addresses[n % 4]}?{n}" for n in range(49)), image_server.url("/later/stopping.jpg")]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    output = tmp_path / "out"
    process = start(
        url_list=tmp_path / "list.txt",
        output_folder=output,
        output_format="webdataset",
        processes_count=1,
        timeout=240,
        grace_s=200,
    )
    wait_until(lambda: image_server.count("/later/stopping.jpg") > 0, process)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while "stopping: " not in process.stderr.readline():
        assert process.poll() is None
    image_server.put("/later/stopping.jpg", photograph(80, 60))
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 143, stderr
    assert len(read_dataset(output).rows) == 50


def test_a_second_signal_stops_at_once(image_server: ImageServer, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(image_server.url("/hang-before-headers"))
    process = start(url_list=tmp_path / "list.txt", output_folder=tmp_path / "out", processes_count=1)
    wait_until(lambda: bool(list((tmp_path / "out").glob(".tmp/*/*"))), process)
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=240)
    assert process.returncode in (130, 143)
    # A run that was waited for says how far it has come.
    assert "rows in" not in stdout
    wait_until_gone(workers)


def test_a_ctrl_c_that_reaches_the_whole_group_is_one_stop(options: dict[str, Any]) -> None:
    process = run_for_a_while(options)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "KeyboardInterrupt" not in stderr
    read_dataset(options["output_folder"])


def test_a_signal_at_any_moment_of_the_start_ends_the_program(options: dict[str, Any]) -> None:
    for milliseconds in (30, 80, 150, 250, 400, 700):
        process = start(**options)
        try:
            process.communicate(timeout=milliseconds / 1000)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=240)
        assert process.returncode in (143, -15), (milliseconds, stderr)
        assert "Traceback" not in stderr


# Code in which Python turns an exception of a signal's handler into another, or drops it.
IN_A_CLASS = """
class Descriptor:
    def __set_name__(self, owner, name):
        signalled()

class Made:
    it = Descriptor()
"""
IN_A_CALLBACK = """
import weakref

class Referred:
    pass

referred = Referred()
reference = weakref.ref(referred, lambda gone: signalled())
del referred
"""
IN_A_DESTRUCTOR = """
class Destroyed:
    def __del__(self):
        signalled()

Destroyed()
"""
IN_A_GUARDED_IMPORT = """
try:
    signalled()
except BaseException:
    pass
"""
MOMENTS = {
    "class": IN_A_CLASS,
    "callback": IN_A_CALLBACK,
    "destructor": IN_A_DESTRUCTOR,
    "import": IN_A_GUARDED_IMPORT,
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("imported", ["api", "reading.formats.txt", "distributing.local"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_where_python_cannot_raise_ends_the_program_too(
    moment: str, imported: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/1.jpg")
    code = f"""
import os, sys
from img2dataset import cli
import img2dataset.options

def signalled():
    os.kill(os.getpid(), {int(number)})

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "img2dataset.{imported}":
            sys.meta_path.remove(self)
            exec({MOMENTS[moment]!r}, {{"signalled": signalled}})

sys.meta_path.insert(0, Finder())
sys.argv[1:] = ["--url_list", {str(tmp_path / "list.txt")!r}, "--output_folder", {str(tmp_path / "out")!r}]
cli.main()
print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 128 + number, ended.stderr
    assert ended.stderr.endswith("img2dataset: stopped; the same command goes on where it stopped\n")
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "out").glob("0*"))


def test_verify_ends_with_a_line_at_a_signal(options: dict[str, Any], image_server: ImageServer) -> None:
    write_list(options["url_list"], serve_photographs(image_server), 3000)
    result = run(**options)
    assert result.returncode == 0, result.stderr
    for number, exit_status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)):
        process = subprocess.Popen(
            [COMMAND, "verify", str(options["output_folder"]), "--images", "--processes_count", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        wait_until(lambda process=process: bool(workers_of(process)), process)
        workers = workers_of(process)
        if number == signal.SIGHUP:  # the terminal is closed: what is written to it is an error
            process.stderr.close()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=240)
        assert process.returncode == exit_status
        if number != signal.SIGHUP:
            assert stderr.endswith("img2dataset: stopped; nothing more was checked\n")
            assert "Traceback" not in stderr
        wait_until_gone(workers)
