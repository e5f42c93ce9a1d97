"""What the measuring stick says of a command is true: time, CPU and memory of everything it starts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import process_tree
from benchmarks.process_tree import ProcessFigures, Usage, measure, parse_stat, tree_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")

BURN = "import time\nwhile time.process_time() < 0.4: pass\n"


def run(
    script: str,
    tmp_path: Path,
    time_limit_s: float = 60.0,
    stop_when: Callable[[], bool] | None = None,
) -> Usage:
    command = [sys.executable, "-c", script]
    return measure(command, tmp_path / "log", time_limit_s=time_limit_s, stop_when=stop_when)


def test_cpu_of_a_grandchild_is_counted(tmp_path: Path) -> None:
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
    usage = run(script, tmp_path)
    assert usage.exit_status == 0
    assert 0.4 <= usage.cpu_seconds < 3
    assert usage.cpu_complete


def test_cpu_of_a_grandchild_nobody_waited_for_is_counted(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        f"burn = {BURN + 'print(flush=True); time.sleep(600)'!r}\n"
        "child = subprocess.Popen([sys.executable, '-c', burn], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "os._exit(0)"
    )
    assert run(script, tmp_path).cpu_seconds >= 0.4


def test_what_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(0.6)"
    )
    run(script, tmp_path)
    left_behind = int((tmp_path / "log").read_text())
    assert not Path("/proc", str(left_behind)).exists()


def test_memory_of_two_processes_is_added_up(tmp_path: Path) -> None:
    hold = (
        "import os, time; held = bytearray(b'x') * 60_000_000; open(f'holds-{os.getpid()}', 'w').close();"
        " time.sleep(600)"
    )
    script = (
        "import subprocess, sys\n"
        f"children = [subprocess.Popen([sys.executable, '-c', {hold!r}]) for _ in range(2)]\n"
        "[child.wait() for child in children]"
    )
    both_hold = [False]

    def a_sample_was_taken_of_both() -> bool:
        both_hold.append(len(list(tmp_path.glob("holds-*"))) == 2)
        return both_hold[-2]

    usage = run(script, tmp_path, stop_when=a_sample_was_taken_of_both)
    assert usage.peak_processes == 3
    assert 120e6 < usage.peak_uss <= usage.peak_pss <= usage.peak_rss < 300e6


def test_a_command_past_its_time_limit_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        """Goes on by an hour once the command has started its child."""

        def monotonic(self) -> float:
            has_started = (tmp_path / "log").exists() and (tmp_path / "log").read_text().endswith("\n")
            return time.monotonic() + 3600 * has_started

    monkeypatch.setattr(process_tree, "time", Clock())
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()"
    )
    usage = run(script, tmp_path, time_limit_s=1800)
    assert usage.stopped
    assert usage.exit_status < 0
    assert not Path("/proc", (tmp_path / "log").read_text().strip()).exists()


def test_a_command_is_stopped_when_the_caller_has_seen_enough(tmp_path: Path) -> None:
    until = time.monotonic() + 0.5
    assert run("import time; time.sleep(600)", tmp_path, stop_when=lambda: time.monotonic() > until).stopped


def test_the_exit_status_of_the_command_is_kept(tmp_path: Path) -> None:
    usage = run("raise SystemExit(7)", tmp_path)
    assert (usage.exit_status, usage.stopped) == (7, False)


def test_a_process_name_with_brackets_and_spaces_is_read() -> None:
    fields = ["S", "12", "11", "10", *["0"] * 7, "150", "50", *["0"] * 30]
    figures = parse_stat(f"4242 (a) name (b)) {' '.join(fields)}")
    ticks = os.sysconf("SC_CLK_TCK")
    assert figures == ProcessFigures(4242, 12, 10, 200 / ticks)


def test_a_tree_holds_descendants_and_their_sessions_and_nobody_else() -> None:
    processes = [
        ProcessFigures(10, 1, 10, 0.0),
        ProcessFigures(11, 10, 10, 0.0),
        ProcessFigures(12, 11, 12, 0.0),
        ProcessFigures(13, 1, 12, 0.0),  # an orphan in the session 12 leads
        ProcessFigures(20, 1, 20, 0.0),
    ]
    assert [each.process_id for each in tree_of(10, processes)] == [10, 11, 12, 13]
