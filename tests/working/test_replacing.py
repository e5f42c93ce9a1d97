"""Replacing a finished shard: what stands after a crash at every step, for readers, for two runs."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from img2dataset.errors import OutputError
from img2dataset.formats.dataset import REPLACEMENTS_FOLDER
from img2dataset.storage.runs import new_run_id
from img2dataset.working import completing
from img2dataset.working.finished_shard import open_finished_shard
from img2dataset.working.output_folder import OutputFolder
from tests.working.retaking import (
    FORMATS,
    begin_again,
    samples_of_tar,
    second_tries,
    snapshot,
    stored,
    take_again,
)
from tests.working.shards import (
    failure,
    input_table,
    settings_for,
    statistics_of,
    success,
    usual_samples,
    visible,
    write_shard,
)

# Replaces a shard (or finishes that) in a child process of its own for each of its steps, and kills the child
# just before that step. A step is a call that changes a folder or waits for the disk. Nothing is waited for
# here: a killed process takes nothing back that the system has.
CRASHING_PROGRAM = """
import os, shutil, sys
from pathlib import Path
import fsspec.implementations.local, pyarrow.compute, pyarrow.parquet  # once, and not in every child
from img2dataset.working.output_folder import OutputFolder
from tests.working.retaking import second_tries, take_again
from tests.working.shards import failure, input_table, settings_for, success, usual_samples

base, output_format, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def operation(folder):
    settings, table = settings_for(folder, output_format), input_table(10)
    if what == "finish":
        OutputFolder(settings).finish_replacements()
        return
    retaken = second_tries(settings, table)
    if what == "retake a success":
        retaken += [failure(settings, 0), success(settings, table, 3, width=9)]
    take_again(settings, table, usual_samples(settings, table), retaken)

def killed_before(step):
    def counting(original):
        def call(*arguments, **named):
            nonlocal step
            step -= 1
            if step < 0:
                os._exit(9)
            return original(*arguments, **named)
        return call
    os.fsync = lambda descriptor: None
    for name in ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir"):
        setattr(os, name, counting(getattr(os, name)))

for step in range(200):
    folder = base / str(step)
    shutil.copytree(base / "old", folder)
    child = os.fork()
    if child == 0:
        try:
            killed_before(step)
            operation(folder)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), status
    if status == 0 or (what == "commit point" and (folder / ".img2dataset_rewrites/00000").is_file()):
        print(step)
        break
"""


def crash_at_every_step(base: Path, output_format: str, what: str) -> int:
    """The number of steps; ``base/<step>`` is what a crash before that step left, the last what none did."""
    program = [sys.executable, "-c", CRASHING_PROGRAM, str(base), output_format, what]
    result = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


def visible_snapshot(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in snapshot(folder).items() if not name.startswith(".")}


def assert_reads(folder: Path, output_format: str) -> None:
    """What any reader finds: whole files, and all the samples that the metadata call successes."""
    metadata = pq.read_table(folder / "00000.parquet", columns=["key", "status"]).to_pylist()
    assert len(metadata) == 10
    assert json.loads((folder / "00000_stats.json").read_text())["count"] == 10
    samples = stored(folder, output_format)
    assert {row["key"] for row in metadata if row["status"] == "success"} <= set(samples)
    for sample in samples.values():
        if isinstance(sample, dict) and ".jpg" in sample:
            assert set(sample) == {".jpg", ".json", ".txt"}


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_crash_at_any_step_leaves_the_old_shard_or_the_new_one(tmp_path: Path, output_format: str) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    write_shard(settings_for(tmp_path / "old", output_format))
    shutil.rmtree(tmp_path / "old/.tmp")
    steps = crash_at_every_step(tmp_path, output_format, "retake failures")
    assert steps >= 10
    old, new = visible_snapshot(tmp_path / "old"), visible_snapshot(tmp_path / str(steps))
    ends = []
    for step in range(steps + 1):
        folder = tmp_path / str(step)
        assert_reads(folder, output_format)
        output = OutputFolder(settings_for(folder, output_format))
        assert output.done_shards() == {0}
        output.remove_stale_temporaries()
        output.finish_replacements()
        assert_reads(folder, output_format)
        after = snapshot(folder)
        assert after in (old, new), f"neither the old nor the new shard after a crash at step {step}"
        ends.append("new" if after == new else "old")
        assert output.finish_replacements() == set()
        assert snapshot(folder) == after
    assert ends == sorted(ends, reverse=True)
    assert set(ends) == {"old", "new"}


def test_a_crash_while_successes_are_taken_again_leaves_the_old_or_the_new_one(tmp_path: Path) -> None:
    write_shard(settings_for(tmp_path / "old", "files"))
    shutil.rmtree(tmp_path / "old/.tmp")
    steps = crash_at_every_step(tmp_path, "files", "retake a success")
    old, new = visible_snapshot(tmp_path / "old"), visible_snapshot(tmp_path / str(steps))
    assert "00000/000000.jpg" in old
    assert "00000/000000.jpg" not in new
    for step in range(steps + 1):
        output = OutputFolder(settings_for(tmp_path / str(step), "files"))
        output.remove_stale_temporaries()
        output.finish_replacements()
        assert snapshot(tmp_path / str(step)) in (old, new)


def committed_journal(base: Path, output_format: str) -> tuple[Path, dict[str, bytes]]:
    """A folder whose run was killed right after the commit point, and what it has to become."""
    write_shard(settings_for(base / "old", output_format))
    shutil.rmtree(base / "old/.tmp")
    folder = base / str(crash_at_every_step(base, output_format, "commit point"))
    assert (folder / REPLACEMENTS_FOLDER / "00000").is_file()
    settings, table = settings_for(folder, output_format), input_table(10)
    OutputFolder(settings).remove_stale_temporaries()
    shutil.copytree(base / "old", base / "new")
    take_again(settings_for(base / "new", output_format), table, usual_samples(settings, table))
    return folder, visible_snapshot(base / "new")


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet"])
def test_finishing_can_itself_be_cut_short_at_any_step(tmp_path: Path, output_format: str) -> None:
    folder, new = committed_journal(tmp_path / "commit", output_format)
    shutil.copytree(folder, tmp_path / "finish/old")
    steps = crash_at_every_step(tmp_path / "finish", output_format, "finish")
    assert steps >= 5
    for step in range(steps + 1):
        cut_short = tmp_path / "finish" / str(step)
        assert_reads(cut_short, output_format)
        OutputFolder(settings_for(cut_short, output_format)).finish_replacements()
        assert snapshot(cut_short) == new


FINISHING_PROGRAM = """
import os, sys
from img2dataset.working.output_folder import OutputFolder
from tests.working.shards import settings_for

outputs = [OutputFolder(settings_for(sys.argv[1], "files")) for _ in range(6)]
start, go = os.pipe()
children = []
for output in outputs:
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(start, 1)  # until all have been made
        try:
            output.finish_replacements()
            os._exit(0)
        finally:
            os._exit(1)
    children.append(child)
os.close(go)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.parametrize("has_locks", [True, False])
def test_runs_that_start_at_once_finish_it_together(tmp_path: Path, has_locks: bool) -> None:
    folder, new = committed_journal(tmp_path, "files")
    program = FINISHING_PROGRAM if has_locks else NO_LOCKS + FINISHING_PROGRAM
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, timeout=60)
    if has_locks:
        assert snapshot(folder) == new
    assert visible_snapshot(folder) == new


NO_LOCKS = """
import errno, fcntl

def no_locks(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")

fcntl.flock = no_locks
"""


def test_finish_replacements_names_the_shards_and_a_folder_without_any_stays_as_it_is(tmp_path: Path) -> None:
    folder, _ = committed_journal(tmp_path, "webdataset")
    output = OutputFolder(settings_for(folder, "webdataset"))
    assert output.finish_replacements() == {0}
    assert output.finish_replacements() == set()
    assert OutputFolder(settings_for(tmp_path / "none", "webdataset")).finish_replacements() == set()
    assert not (tmp_path / "none").exists()


def test_opening_a_shard_finishes_what_its_killed_worker_began(tmp_path: Path) -> None:
    folder, new = committed_journal(tmp_path, "webdataset")
    finished = open_finished_shard(settings_for(folder, "webdataset"), 0)
    assert finished is not None
    assert finished.statistics["successes"] == 9
    assert snapshot(folder) == new


def test_a_commit_finishes_what_was_cut_short_before_and_does_not_undo_it(tmp_path: Path) -> None:
    folder, new = committed_journal(tmp_path, "webdataset")
    shutil.copytree(folder / REPLACEMENTS_FOLDER, tmp_path / "journal")
    shutil.rmtree(folder / REPLACEMENTS_FOLDER)
    settings, table = settings_for(folder, "webdataset"), input_table(10)
    writer, samples = begin_again(settings, table, usual_samples(settings, table), [])
    shutil.copytree(tmp_path / "journal", folder / REPLACEMENTS_FOLDER)
    with pytest.raises(OutputError, match=r"another run has changed 00000_stats\.json"):
        writer.commit(statistics_of(samples))
    writer.discard()
    assert visible_snapshot(folder) == new


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet"])
def test_of_two_runs_that_take_one_shard_again_the_later_does_not_undo_the_earlier(
    tmp_path: Path, output_format: str
) -> None:
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    other = settings_for(tmp_path, output_format)
    later, later_samples = begin_again(other, table, old, [success(other, table, 4)])
    take_again(settings, table, old, [success(settings, table, 1)])
    after = visible_snapshot(tmp_path)
    with pytest.raises(OutputError, match="let one run work on the folder"):
        later.commit(statistics_of(later_samples, ended=1_700_000_004.5))
    later.discard()
    assert visible_snapshot(tmp_path) == after
    assert_reads(tmp_path, output_format)


def test_a_shard_that_was_removed_meanwhile_is_not_put_back(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "files"), input_table(10)
    old = write_shard(settings, table)
    writer, samples = begin_again(settings, table, old)
    (tmp_path / "00000_stats.json").unlink()
    with pytest.raises(OutputError, match="another run has removed"):
        writer.commit(statistics_of(samples))


def test_a_replacement_of_a_shard_that_was_removed_after_the_crash_is_dropped(tmp_path: Path) -> None:
    folder, _ = committed_journal(tmp_path, "files")
    for name in ("00000_stats.json", "00000.parquet"):
        (folder / name).unlink()
    shutil.rmtree(folder / "00000")
    output = OutputFolder(settings_for(folder, "files"))
    output.finish_replacements()
    assert snapshot(folder) == {}
    assert output.done_shards() == set()


@pytest.mark.parametrize("what", ["made again", "retaken"])
def test_a_folder_that_others_have_made_in_a_shard_is_no_hindrance(tmp_path: Path, what: str) -> None:
    settings, table = settings_for(tmp_path, "files"), input_table(10)
    old = write_shard(settings, table)
    # As a network store's indexer makes them; one is named like a row that is retried.
    for name in ("@eaDir", "000001.cache"):
        (tmp_path / "00000" / name).mkdir()
        (tmp_path / "00000" / name / "preview.png").write_bytes(b"no sample")
    if what == "made again":
        write_shard(settings, table)
    else:
        take_again(settings, table, old)
    assert OutputFolder(settings).finish_replacements() == set()
    left = [name for name in visible(tmp_path / "00000") if (tmp_path / "00000" / name).is_dir()]
    assert left == ([] if what == "made again" else ["@eaDir"])
    assert not (tmp_path / REPLACEMENTS_FOLDER).exists()


# This process's own, of another host, and no run id at all: none is known to be dead.
@pytest.mark.parametrize("run_id", [None, "elsewhere.4026531836-1-0123abcd", "no run id"])
def test_files_staged_without_a_journal_go_whosever_they_are(tmp_path: Path, run_id: str | None) -> None:
    run_id = run_id or new_run_id()
    settings = settings_for(tmp_path, "webdataset")
    write_shard(settings)
    stage = tmp_path / REPLACEMENTS_FOLDER / f"00000-{run_id}"
    stage.mkdir(parents=True)
    (stage / "00000.tar").write_bytes(b"whole, but without a journal")
    OutputFolder(settings).finish_replacements()
    assert not (tmp_path / REPLACEMENTS_FOLDER).exists()


def test_without_locks_files_staged_by_a_run_that_may_live_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    settings = settings_for(tmp_path, "webdataset")
    write_shard(settings)
    stage = tmp_path / REPLACEMENTS_FOLDER / "00000-elsewhere.4026531836-1-0123abcd"
    stage.mkdir(parents=True)
    OutputFolder(settings).finish_replacements()
    assert stage.exists()


def test_overwrite_removes_what_was_cut_short_with_the_rest(tmp_path: Path) -> None:
    folder, _ = committed_journal(tmp_path, "webdataset")
    OutputFolder(settings_for(folder, "webdataset")).empty()
    assert os.listdir(folder) == []


def test_a_live_run_keeps_its_temporaries_and_can_commit(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10)
    writer, samples = begin_again(settings, table, write_shard(settings, table))
    another = OutputFolder(settings_for(tmp_path, "webdataset"))
    another.remove_stale_temporaries()
    another.finish_replacements()
    writer.commit(statistics_of(samples))
    assert_reads(tmp_path, "webdataset")


def test_a_reader_of_the_old_tar_reads_it_to_its_end(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10)
    old = write_shard(settings, table)
    with open(tmp_path / "00000.tar", "rb") as reader:
        start = reader.read(1000)
        take_again(settings, table, old)
        whole = start + reader.read()
    assert len(dict(samples_of_tar(whole))) == 7
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert len(archive.getnames()) == 3 * 7


def test_a_reader_in_a_folder_of_files_finds_all_that_it_has_listed(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "files"), input_table(10)
    old = write_shard(settings, table)
    folder = os.open(tmp_path / "00000", os.O_RDONLY)
    try:
        listed = {name: os.stat(name, dir_fd=folder).st_ino for name in os.listdir(folder)}
        take_again(settings, table, old)
        assert {name: os.stat(name, dir_fd=folder).st_ino for name in listed} == listed
        assert len(os.listdir(folder)) == 3 * 9
    finally:
        os.close(folder)


def test_readers_find_whole_shards_while_one_is_retried_and_again(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "files"), input_table(10)
    samples = write_shard(settings, table)
    context = multiprocessing.get_context("spawn")
    stop, reads = context.Event(), context.Value("i", 0)
    reader = context.Process(target=read_until, args=(str(tmp_path), stop, reads))
    reader.start()
    try:
        turn = 0
        while turn < 30 or (reads.value < 30 and reader.is_alive()):
            retaken = second_tries(settings, table)[turn % 2 :][:1]
            samples = take_again(settings, table, samples, retaken)
            turn += 1
    finally:
        stop.set()
        reader.join(60)
    assert reader.exitcode == 0


def read_until(folder: str, stop: multiprocessing.synchronize.Event, reads: object) -> None:
    while not stop.is_set():
        assert_reads(Path(folder), "files")
        reads.value += 1  # type: ignore[attr-defined]


LOCKING_PROGRAM = """
import fcntl, os, sys
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_is_not_given_up_is_an_error_and_a_killed_process_gives_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10)
    old = write_shard(settings, table)
    before = visible_snapshot(tmp_path)
    program = [sys.executable, "-c", LOCKING_PROGRAM, str(tmp_path / REPLACEMENTS_FOLDER / "lock")]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        monkeypatch.setattr(completing, "_LOCK_WAIT_S", 0.05)
        writer, samples = begin_again(settings, table, old)
        with pytest.raises(OutputError, match=r"has been locked for .* by another process"):
            writer.commit(statistics_of(samples))
        writer.discard()
        assert visible_snapshot(tmp_path) == before
        monkeypatch.undo()
        holder.send_signal(signal.SIGKILL)
        take_again(settings, table, old)
    assert_reads(tmp_path, "webdataset")
    assert not (tmp_path / REPLACEMENTS_FOLDER).exists()


def test_a_file_system_without_locks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    settings, table = settings_for(tmp_path, "files"), input_table(10)
    old = write_shard(settings, table)
    take_again(settings, table, old, [*second_tries(settings, table), failure(settings, 0)])
    assert_reads(tmp_path, "files")
    assert "000000.jpg" not in visible(tmp_path / "00000")
