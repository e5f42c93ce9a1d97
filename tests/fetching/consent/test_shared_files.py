"""What the processes of a run share of the files of sites: one asks, and none waits for one that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from img2dataset.failures import of_status, of_text
from img2dataset.fetching.consent import shared_files
from img2dataset.fetching.consent.answers import LARGEST_BYTES, SiteAnswer, of_entry
from img2dataset.fetching.consent.robots_txt import RobotsTxt
from img2dataset.fetching.consent.shared_files import VARIABLE, SharedFiles, make_shared_file
from img2dataset.fetching.consent.site_files import (
    FAILURE_KEPT_S,
    KEPT_S,
    LONGEST_WAIT_S,
    LOOK_AGAIN_S,
    Consent,
    SiteFiles,
)

REPOSITORY = Path(__file__).resolve().parents[3]
FILE = "http://a.example/robots.txt"
NO = b"User-agent: *\nDisallow: /no\n"
FORBIDDEN = Consent(of_text("opt-out: robots.txt"))
# Another process of the run: it asks for a file, and when it is told so it has the answer.
OTHER = """
import time
from img2dataset.fetching.consent.answers import SiteAnswer
from img2dataset.fetching.consent.shared_files import SharedFiles
files = SharedFiles.of_run()
print(files.claim("http://a.example/robots.txt"), flush=True)
input()
answer = SiteAnswer(b"User-agent: *\\nDisallow: /no\\n", None, time.time())
files.put("http://a.example/robots.txt", answer.to_entry("http://a.example/robots.txt"))
print("put", flush=True)
input()
"""


class Other:
    """A process that asks for ``FILE``."""

    def __init__(self, file: BinaryIO) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER],
            cwd=REPOSITORY,
            pass_fds=[file.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "True"

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def put(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.line() == "put"

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    made = make_shared_file()
    assert made is not None
    with made:
        monkeypatch.setenv(VARIABLE, str(made.fileno()))
        yield made


@pytest.fixture
def other(file: BinaryIO) -> Iterator[Other]:
    process = Other(file)
    yield process
    process.close()


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def site_files(file: BinaryIO, clock: Clock | None = None) -> SiteFiles[str]:
    shared = SharedFiles(file.fileno())
    return SiteFiles((RobotsTxt(None),), shared, clock) if clock else SiteFiles((RobotsTxt(None),), shared)


def test_what_another_process_asks_for_is_waited_for(file: BinaryIO, other: Other) -> None:
    files = site_files(file)
    for each in "ab":
        files.wait(FILE, each, 0.0)
    assert (files.to_ask(), files.arrived(0.0)) == ([], [])
    assert files.next_due(0.0) == LOOK_AGAIN_S
    other.put()
    assert files.arrived(LOOK_AGAIN_S) == [(FILE, ["a", "b"], 0.0)]
    assert files.judge("http://a.example/no", LOOK_AGAIN_S) == FORBIDDEN
    assert (files.to_ask(), files.next_due(LOOK_AGAIN_S)) == ([], None)


def test_what_another_process_has_asked_for_is_there_at_once(file: BinaryIO, other: Other) -> None:
    files = site_files(file)
    other.put()
    files.wait(FILE, "a", 0.0)
    assert files.next_due(0.0) == 0.0
    assert files.arrived(0.0) == [(FILE, ["a"], 0.0)]
    assert files.to_ask() == []


@pytest.mark.parametrize("is_late", [False, True])
def test_when_its_asker_is_killed_another_asks(file: BinaryIO, other: Other, is_late: bool) -> None:
    files = site_files(file)
    if is_late:
        files.wait(FILE, "a", 0.0)
        assert files.to_ask() == []
    os.kill(other.process.pid, signal.SIGKILL)
    other.process.wait()
    if is_late:
        assert files.arrived(LOOK_AGAIN_S) == []
    else:
        files.wait(FILE, "a", 0.0)
    assert files.to_ask() == [FILE]


def test_when_its_asker_stands_still_another_asks(file: BinaryIO, other: Other) -> None:
    files = site_files(file)
    files.wait(FILE, "a", 5.0)
    for now in (5.0, 5.0 + LONGEST_WAIT_S / 2, 5.0 + LONGEST_WAIT_S - 0.001):
        files.arrived(now)
        assert files.to_ask() == []
    files.arrived(5.0 + LONGEST_WAIT_S + LOOK_AGAIN_S)
    assert files.to_ask() == [FILE]
    assert files.next_due(100.0) is None
    files.learned(FILE, NO, None, 100.0)
    assert files.arrived(100.0) == [(FILE, ["a"], 0.0)]


def test_failures_are_shared_too_and_age_as_they_do_in_the_process_that_asked(file: BinaryIO) -> None:
    clock = Clock()
    first = site_files(file, clock)
    first.learned(FILE, None, of_status(500), 0.0)
    first.learned("http://b.example/robots.txt", None, of_status(404), 0.0)
    clock.now += FAILURE_KEPT_S - 1
    second = site_files(file, clock)
    for name in "ab":
        second.wait(f"http://{name}.example/robots.txt", name, 50.0)
    assert [each.waiting for each in second.arrived(50.0)] == [["a"], ["b"]]
    assert second.judge("http://a.example/x", 50.9).refusal == "opt-out: robots.txt unavailable"
    assert second.judge("http://b.example/x", 50.9 + FAILURE_KEPT_S) == Consent()
    assert second.judge("http://a.example/x", 51.1) == Consent(None, FILE)
    clock.now += 2
    second.wait(FILE, "later", 53.0)
    assert second.to_ask() == [FILE]


@pytest.mark.parametrize("age_s", [KEPT_S, -120.0])
def test_what_is_a_day_old_or_of_the_future_is_asked_for_again(file: BinaryIO, age_s: float) -> None:
    clock = Clock()
    shared = SharedFiles(file.fileno())
    shared.put(FILE, SiteAnswer(NO, None, clock.now - age_s).to_entry(FILE))
    files = site_files(file, clock)
    files.wait(FILE, "a", 0.0)
    assert files.to_ask() == [FILE]


def test_a_long_file_is_parsed_beside_the_loop(file: BinaryIO) -> None:
    files = site_files(file)
    files.wait(FILE, "a", 0.0)
    assert files.to_ask() == [FILE]
    files.learned(FILE, NO + b"#" * LARGEST_BYTES, None, 0.0)
    assert files.judge("http://a.example/no", 0.0) == Consent(None, FILE)
    due = files.next_due(0.0)
    assert due is not None
    assert due > 0.0
    while not (arrived := files.arrived(0.0)):
        pass
    assert arrived == [(FILE, ["a"], 0.0)]
    assert files.judge("http://a.example/no", 0.0) == FORBIDDEN
    files.close()
    other = SharedFiles(file.fileno()).find(FILE)
    assert other is not None
    assert other.body is not None
    assert len(other.body) == LARGEST_BYTES + 1


def test_a_full_file_is_begun_anew_and_stays_bounded(file: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_files, "MOST_BYTES", 20_000)
    writer, reader = SharedFiles(file.fileno()), SharedFiles(file.fileno())
    for n in range(1000):
        uri = f"http://{n}.example/robots.txt"
        writer.put(uri, SiteAnswer(b"#%d" % n, None, 1.0).to_entry(uri))
        if n % 7 == 0:
            reader.catch_up()
            assert reader.find(uri) == SiteAnswer(b"#%d" % n, None, 1.0)
    assert os.fstat(file.fileno()).st_size <= 20_000
    assert reader.find("http://0.example/robots.txt") is None
    assert len(reader._offsets) < 300


def test_more_files_than_are_shared_are_begun_anew(file: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_files, "MOST_ENTRIES", 50)
    writer = SharedFiles(file.fileno())
    for n in range(120):
        uri = f"http://{n}.example/robots.txt"
        writer.put(uri, SiteAnswer(None, of_status(404), 1.0).to_entry(uri))
        writer.catch_up()
    assert [n for n in range(120) if writer.find(f"http://{n}.example/robots.txt")] == list(range(100, 120))


def test_half_an_entry_is_none() -> None:
    entry = SiteAnswer(NO, None, 1.0).to_entry(FILE)
    assert of_entry(entry) == (FILE, SiteAnswer(NO, None, 1.0))
    assert [n for n in range(len(entry)) if of_entry(entry[:n]) is not None] == []
    assert of_entry(entry[:-1] + bytes([entry[-1] ^ 1])) is None


def test_what_a_killed_process_has_half_written_is_written_over(file: BinaryIO) -> None:
    files, reader = SharedFiles(file.fileno()), SharedFiles(file.fileno())
    # As if it had died before it said where its entry ends.
    os.pwrite(file.fileno(), b"\xff" * 500, 24)
    files.put(FILE, SiteAnswer(NO, None, 1.0).to_entry(FILE))
    reader.catch_up()
    assert reader.find(FILE) == SiteAnswer(NO, None, 1.0)


def test_many_processes_write_at_once(file: BinaryIO) -> None:
    script = """
import os, time
from img2dataset.fetching.consent.answers import SiteAnswer
from img2dataset.fetching.consent.shared_files import SharedFiles
files = SharedFiles.of_run()
for n in range(500):
    uri = f"http://{os.getpid()}-{n}.example/robots.txt"
    files.put(uri, SiteAnswer(b"#" * n, None, 1.0).to_entry(uri))
while files.has_unwritten:
    files.flush()
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY, pass_fds=[file.fileno()])
        for _ in range(3)
    ]
    assert [writer.wait(240) for writer in writers] == [0, 0, 0]
    reader = SharedFiles(file.fileno())
    for writer in writers:
        bodies = (reader.find(f"http://{writer.pid}-{n}.example/robots.txt") for n in range(500))
        lengths = [len(found.body or b"") if found is not None else None for found in bodies]
        # One that was kept from writing for 100 answers has let the oldest go, which are asked for again.
        assert [n for n in lengths if n is not None] == [n for n in range(500) if lengths[n] is not None]
        assert lengths[-100:] == list(range(400, 500))
