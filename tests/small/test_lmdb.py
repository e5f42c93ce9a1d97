"""LMDB databases are read with whatever version of lmdb is installed, in forked processes too."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from img2dataset.errors import InputError
from img2dataset.training.data.lmdb_list import LmdbRows

lmdb = pytest.importorskip("lmdb")


def put_database(path: Path, count: int = 9, name: str = "row") -> Path:
    with lmdb.open(str(path), map_size=1 << 24) as database, database.begin(write=True) as write:
        for n in range(count):
            write.put(b"%04d" % n, json.dumps({"caption": f"{name} {n}"}).encode())
    return path


def captions(rows: LmdbRows) -> list[Any]:
    return [rows.row(index)["caption"] for index in range(len(rows))]


def in_a_fork(what: Callable[[], Any]) -> Any:
    """What a forked child makes of it; an exception as its text."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def tell() -> None:
        try:
            theirs.send(what())
        except Exception as error:
            theirs.send(f"{type(error).__name__}: {error}")

    child = context.Process(target=tell)
    child.start()
    assert ours.poll(60)
    answer = ours.recv()
    child.join(60)
    return answer


ROWS = [f"row {n}" for n in range(9)]


def test_a_forked_process_opens_the_database_anew(tmp_path: Path) -> None:
    rows = LmdbRows(put_database(tmp_path / "a.lmdb"))
    inherited = rows._opened()

    def read() -> Any:
        return captions(rows), rows._opened() is inherited, in_a_fork(lambda: captions(rows))

    assert in_a_fork(read) == (ROWS, False, ROWS)
    assert captions(rows) == ROWS
    assert rows._opened() is inherited


def test_a_database_is_opened_several_times_in_one_process(tmp_path: Path) -> None:
    path = put_database(tmp_path / "a.lmdb")
    other = LmdbRows(put_database(tmp_path / "b.lmdb", name="other"))
    several = [LmdbRows(path), LmdbRows(path), LmdbRows(path / "data.mdb"), pickle.loads(pickle.dumps(other))]
    del other
    found = [*[ROWS] * 3, [f"other {n}" for n in range(9)]]
    assert [captions(rows) for rows in several] == found
    assert in_a_fork(lambda: [captions(rows) for rows in several]) == found
    assert in_a_fork(lambda: [captions(LmdbRows(path)) for _ in range(2)]) == [ROWS, ROWS]


def test_a_database_that_nobody_reads_any_more_can_be_written(tmp_path: Path) -> None:
    path = put_database(tmp_path / "a.lmdb")
    rows: Any = LmdbRows(path)
    assert len(rows) == 9
    del rows
    put_database(path, 12)
    assert len(LmdbRows(path)) == 12


def test_what_is_no_database_is_told_in_a_fork_too(tmp_path: Path) -> None:
    (tmp_path / "a.mdb").write_bytes(b"no database" * 1_000)
    with pytest.raises(InputError, match="cannot be opened as an LMDB database"):
        LmdbRows(tmp_path / "a.mdb")
    assert "cannot be opened as an LMDB database" in in_a_fork(lambda: LmdbRows(tmp_path / "a.mdb"))
