"""Sinks are told what a run does, and nothing that they do slows it or ends it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from img2dataset.errors import OptionError
from img2dataset.options import resolve
from img2dataset.plugins import SINKS
from img2dataset.reporting.events import EndEvent, RunEvent, TickEvent
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.sinks import Sinks, SinkSettings
from img2dataset.reporting.surroundings import Surroundings
from tests.distributing.killing import lives
from tests.installed_packages import Install
from tests.program.runs import run, serve_photographs, write_list
from tests.reporting.test_event_log import report
from tests.servers import ImageServer

SETTINGS = SinkSettings("out", "out", "img2dataset")
RUN = RunEvent(100.0, "run", "driver", "list.txt", "incremental", Surroundings())
# Writes what it is told into a file; slow, hanging or failing where the list's name says so.
RECORDING = """
import json, os, time
from img2dataset.reporting.sinks.sink import Sink, metrics

class Recording(Sink):
    def begin(self, run, settings):
        self.path = os.path.join(os.environ["RECORDED"], "told")
        with open(self.path + ".new", "w") as file: file.write(str(os.getpid()))
        os.rename(self.path + ".new", self.path + ".pid")
        self.say("begin", run.url_list)
        if "exits" in run.url_list: raise SystemExit(3)
    def tick(self, tick, so_far):
        if "hangs" in os.environ.get("SINK_DOES", ""): time.sleep(3600)
        if "fails" in os.environ.get("SINK_DOES", ""): raise ValueError("no such \\x1b[31m project")
        if "slow" in os.environ.get("SINK_DOES", ""): time.sleep(0.005)
        self.say("tick", metrics(tick, so_far))
    def end(self, end, so_far):
        self.say("end", end.exit_status)
    def say(self, *told):
        with open(self.path, "a") as file: file.write(json.dumps(told) + "\\n")
"""


# Hides an installed package from a program.
HIDING = """
import sys

class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}: raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hiding())
"""


@pytest.fixture
def recording(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a sink is installed; the file that it writes to."""
    install("recording", RECORDING, f"[{SINKS}]\nrecording = recording:Recording\n")
    monkeypatch.setenv("RECORDED", str(tmp_path))
    return tmp_path / "told"


def tick(successes: int, failed: int = 0, with_shard: bool = False) -> TickEvent:
    facts = Facts() if with_shard else None
    if facts is not None:
        facts.add_report(report())
    return TickEvent(120.0, {"success": successes, "failed_to_download": failed}, facts=facts)


def told(path: Path) -> list[Any]:
    import json

    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_sink_of_another_package_is_told_everything_in_order(recording: Path) -> None:
    sinks = Sinks(["recording"], SETTINGS)
    for event in (RUN, tick(7, 2, with_shard=True), tick(9, 3), EndEvent(130.0, 0)):
        sinks.take(event)
    sinks.close()
    begin, first, second, end = told(recording)
    assert (begin, end) == (["begin", "list.txt"], ["end", 0])
    # Shares of rows, under the names of 1.47.0; the shard had ten rows in 2.5 s.
    shard = {"count": 10, "success": 0.7, "failed_to_download": 0.2, "failed_to_resize": 0.1}
    assert {name: first[1][f"worker/{name}"] for name in shard} == shard
    assert first[1]["worker/img_per_sec"] == 4
    # Ten rows are done, whatever the tick itself says of them: a shard has ended that has them.
    assert (first[1]["total/count"], first[1]["total/img_per_sec"]) == (10, 0.5)
    assert (second[1]["total/count"], second[1]["total/success"]) == (12, 0.75)
    assert not [name for name in second[1] if name.startswith("worker")]


def test_a_sink_that_hangs_holds_nothing_up_and_is_told_of_once(
    recording: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SINK_DOES", "hangs")
    sinks = Sinks(["recording"], SETTINGS)
    began = time.monotonic()
    sinks.take(RUN)
    for _ in range(5000):
        sinks.take(tick(1))
    sinks.close(wait_s=0.5)
    assert time.monotonic() - began < 60  # it hangs for an hour
    (line,) = [record.getMessage() for record in caplog.records]
    # All, or all but the one at which it hangs.
    assert "recording: it does not answer, and" in line
    assert int(line.split("and ")[1].split()[0].replace(",", "")) in (4999, 5000)


def test_a_slow_sink_loses_the_oldest_events_and_gets_the_last(
    recording: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SINK_DOES", "slow")
    sinks = Sinks(["recording"], SETTINGS)
    sinks.take(RUN)
    for rows in range(3000):
        sinks.take(tick(rows + 1))
    sinks.take(EndEvent(130.0, 0))
    sinks.close(wait_s=60)
    *_, last, end = told(recording)
    assert (last[1]["total/count"], end) == (3000, ["end", 0])
    (line,) = [record.getMessage() for record in caplog.records]
    assert "too slow" in line
    dropped = int(line.split(": ")[2].split()[0].replace(",", ""))
    assert dropped + len(told(recording)) == 3002


# A program that is ended at once while its sink hangs.
ENDED_AT_ONCE = """
import os, sys, time
from img2dataset.reporting.sinks import Sinks
from tests.reporting.sinks.test_sinks import RUN, SETTINGS, tick

sinks = Sinks(["recording"], SETTINGS)
sinks.take(RUN)
sinks.take(tick(1))
while not os.path.exists(sys.argv[1]): time.sleep(0.05)
time.sleep(0.5)
os.kill(os.getpid(), 9)
"""


def test_a_sink_that_hangs_ends_with_the_program(recording: Path, tmp_path: Path) -> None:
    process_id = Path(f"{recording}.pid")
    packages = f"{tmp_path / 'installed'}{os.pathsep}{Path.cwd()}"
    environment = {**os.environ, "PYTHONPATH": packages, "SINK_DOES": "hangs"}
    words = [sys.executable, "-c", ENDED_AT_ONCE, str(process_id)]
    assert subprocess.run(words, env=environment, timeout=120, check=False).returncode == -signal.SIGKILL
    sink = int(process_id.read_text())
    gone_by = time.monotonic() + 60
    while is_there := lives(sink):
        if time.monotonic() > gone_by:
            os.kill(sink, signal.SIGKILL)
            break
        time.sleep(0.05)
    assert not is_there


@pytest.mark.parametrize("does", ["fails", "exits"])
def test_a_sink_that_fails_is_told_of_once_and_no_more(
    does: str, recording: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SINK_DOES", does)
    sinks = Sinks(["recording"], SETTINGS)
    sinks.take(RunEvent(100.0, "run", "driver", does, "incremental", Surroundings()))
    for _ in range(3000):
        sinks.take(tick(1))
    sinks.close(wait_s=60)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "the run goes on" in line
    assert "\x1b" not in line


def test_names_that_no_sink_has_are_told_with_those_there_are(recording: Path) -> None:
    with pytest.raises(OptionError, match=r"'moon', which is none; there are wandb, .*, recording"):
        resolve({"url_list": "list.txt", "sinks": ["moon"]})
    assert resolve({"url_list": "list.txt", "sinks": ["recording", "mlflow"]}).sink_names == (
        "recording",
        "mlflow",
    )
    assert resolve({"url_list": "list.txt", "enable_wandb": True}).sink_names == ("wandb",)
    assert resolve({"url_list": "list.txt", "enable_wandb": True, "sinks": ["wandb"]}).sink_names == (
        "wandb",
    )


@pytest.mark.parametrize("name", ["wandb", "tensorboard", "mlflow"])
def test_a_package_that_is_missing_is_named_before_the_run_begins(name: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(HIDING.format(name=name))
    result = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        sinks=name,
        environment={"PYTHONPATH": str(tmp_path / "hidden")},
    )
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert f"the package {name} is not installed: pip install" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_with_a_sink_that_fails_succeeds(
    tmp_path: Path, image_server: ImageServer, recording: Path
) -> None:
    urls = write_list(tmp_path / "list.txt", serve_photographs(image_server, 4), 20)
    options = {
        "url_list": urls,
        "output_folder": tmp_path / "out",
        "processes_count": 1,
        "sinks": "recording",
    }
    packages = str(tmp_path / "installed")
    result = run(**options, environment={"PYTHONPATH": packages, "SINK_DOES": "fails"})
    assert result.returncode == 0, result.stderr
    assert "--sinks recording: ValueError: no such" in result.stderr
    result = run(**options | {"output_folder": tmp_path / "again"}, environment={"PYTHONPATH": packages})
    assert result.returncode == 0, result.stderr
    assert told(recording)[-1] == ["end", 0]
    assert told(recording)[-2][1]["total/count"] == 20
