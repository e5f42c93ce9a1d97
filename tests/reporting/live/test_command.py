"""``img2dataset watch`` and ``--dashboard``: clear words where they cannot be, and never the end of a run."""

from __future__ import annotations

import base64
import contextlib
import random
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import photograph
from tests.program.runs import COMMAND, run


def data_list(folder: Path) -> Path:
    """A list that needs no network."""
    images = [base64.b64encode(photograph(80, 60, seed=seed)).decode() for seed in range(3)]
    (folder / "list.txt").write_text("".join(f"data:image/jpeg;base64,{image}\n" for image in images))
    return folder / "list.txt"


def dashboard(folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return run(url_list=data_list(folder), output_folder=folder / "out", dashboard=True, **options)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "watch needs the output folder"),
        (["nowhere"], 1, "'nowhere'"),
        ([".", "--port", "70000"], 2, "--port is 70000"),
        ([".", "--port", "x"], 2, "--port"),
        ([".", "--prot", "1"], 2, "--prot"),
    ],
)
def test_a_mistake_is_one_clear_line(words: list[str], status: int, said: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [COMMAND, "watch", *words], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert result.returncode == status
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_help_says_how_it_is_used() -> None:
    result = subprocess.run([COMMAND, "watch", "--help"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, "usage: img2dataset watch OUTPUT" in result.stdout) == (0, True)


def port_that_stays_free() -> int:
    """Below those that the system gives to whoever asks for any, as the servers of other tests do."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, max(first_given, 20_000)), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


def test_a_run_says_where_its_page_is_and_takes_the_port_that_it_is_given(tmp_path: Path) -> None:
    port = port_that_stays_free()
    result = dashboard(tmp_path, dashboard_port=port)
    assert result.returncode == 0, result.stderr
    assert re.search(rf"live page at http://127\.0\.0\.1:{port}/\?token=\S{{20,}}", result.stderr)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = dashboard(tmp_path, dashboard_port=port)
    assert (result.returncode, "live page at" in result.stderr) == (0, True)
    assert f":{port}/" not in result.stderr


# No descriptor is left for its socket.
WITHOUT_SOCKETS = """
import logging, os, resource
from img2dataset.status.dashboard import start_dashboard
logging.basicConfig(format="%(levelname)s: %(message)s")
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, 4096))
print(start_dashboard("out"))
"""


def test_a_page_that_cannot_be_served_is_a_warning(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_SOCKETS], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert (result.returncode, result.stdout) == (0, "None\n"), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("WARNING: --dashboard: the page cannot be served: ")
    assert line.endswith("the run goes on")
