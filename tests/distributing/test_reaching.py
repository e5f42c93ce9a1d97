"""What machines are asked before a run, and what is said of one that cannot do it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from img2dataset.distributing.engine import engine_settings
from img2dataset.distributing.member import MemberTask, member_task
from img2dataset.distributing.reaching import answer, asking, read_answer, refuse, unable_to_answer
from img2dataset.distributing.spark_task import make_shards
from img2dataset.errors import RunFailed
from img2dataset.options import resolve
from img2dataset.reading import open_reader
from img2dataset.settings import work_settings
from img2dataset.types import PlannedShard, RowsSpec, Shard
from tests.fetching.http.conftest import key, key_file
from tests.fetching.http.signing_keys import AGENT
from tests.program.test_signed_runs import forms_of

__all__ = ["key", "key_file"]  # fixtures


@pytest.fixture
def told(tmp_path: Path) -> tuple[MemberTask, PlannedShard]:
    """A task, and the first shard of its list."""
    (tmp_path / "list.txt").write_text("http://127.0.0.1/a.jpg\n" * 3)
    (tmp_path / "out").mkdir()
    options = resolve({"url_list": str(tmp_path / "list.txt"), "output_folder": str(tmp_path / "out")})
    task = member_task(engine_settings(options), work_settings(options))
    return task, next(iter(open_reader(options, 10).plan()))


def test_a_machine_that_has_all_is_not_refused_and_nothing_is_left(
    told: tuple[MemberTask, PlannedShard], tmp_path: Path
) -> None:
    with asking(*told) as question:
        found = read_answer(answer(question))
    assert found.problem is None
    refuse([found])
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_rows_that_travel_need_no_list(told: tuple[MemberTask, PlannedShard], tmp_path: Path) -> None:
    os.remove(tmp_path / "list.txt")
    with asking(told[0], RowsSpec(Shard(0, pa.table({"url": ["http://127.0.0.1/"]})))) as question:
        assert read_answer(answer(question)).problem is None


def test_paths_are_those_of_the_program_wherever_a_machine_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = resolve({"url_list": "list.txt", "output_folder": "out"})
    task = member_task(engine_settings(options), work_settings(options))
    assert task.work.write.output_folder == str(tmp_path / "out")
    assert task.engine.list.url_list == str(tmp_path / "list.txt")
    options = resolve({"url_list": "s3://lists/a", "output_folder": "simplecache::s3://b/out"})
    task = member_task(engine_settings(options), work_settings(options))
    assert task.work.write.output_folder == "simplecache::s3://b/out"
    assert task.engine.list.url_list == "s3://lists/a"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"token": "another"}, "is not the folder that the program sees"),
        ({"folder": "/nowhere/at/all"}, "is not the folder that the program sees"),
        ({"folder": "nosuch://out"}, "no file system is known for nosuch"),
        ({"version": "1.47.0"}, "is installed there"),
    ],
)
def test_what_a_machine_lacks_is_one_line_that_names_it(
    told: tuple[MemberTask, PlannedShard], changed: dict[str, str], said: str
) -> None:
    with asking(*told) as question:
        text = answer(json.dumps({**json.loads(question), **changed}))
    if "version" in changed:
        text = json.dumps({**json.loads(text), "version": "9.9.9"})
    with pytest.raises(RunFailed, match=f"^machine .* cannot do this run: .*{said}") as raised:
        refuse([read_answer(text)])
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_written_to_is_said(
    told: tuple[MemberTask, PlannedShard], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    with asking(*told) as question:
        monkeypatch.setattr(
            "img2dataset.distributing.reaching.write_note", refused
        )  # root may write anywhere
        problem = read_answer(answer(question)).problem
    assert problem is not None
    assert "cannot be written to: Permission denied" in problem


def test_a_package_that_is_missing_there_is_said(
    told: tuple[MemberTask, PlannedShard], monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking(*told) as question:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        problem = read_answer(answer(question)).problem
    assert problem is not None
    assert problem.startswith("pyarrow is not installed: install img2dataset")


@pytest.mark.parametrize("how", ["gone", "another"])
def test_a_list_that_a_machine_does_not_see_is_said(
    told: tuple[MemberTask, PlannedShard], tmp_path: Path, how: str
) -> None:
    with asking(*told) as question:
        if how == "gone":
            os.remove(tmp_path / "list.txt")
        else:
            (tmp_path / "list.txt").write_text("other\n")
        problem = read_answer(answer(question)).problem
    assert problem is not None
    assert problem.startswith("url_list: ")
    assert str(tmp_path / "list.txt") in problem
    assert "shared file system" in problem


def test_several_machines_are_counted(told: tuple[MemberTask, PlannedShard]) -> None:
    with asking(*told) as question:
        unable = read_answer(answer(json.dumps({**json.loads(question), "token": "x"})))
    others = [dataclasses.replace(unable, host=f"node-{number}") for number in range(3)]
    with pytest.raises(RunFailed, match=r"machine node-0 \(and 2 more\) cannot do this run"):
        refuse(others)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ModuleNotFoundError: No module named 'img2dataset'", "img2dataset is not installed"),
        ("No module named 'img2dataset.distributing'", "another version of img2dataset is installed"),
        (
            "ImportError: cannot import name 'A' from 'img2dataset.version' (/a.py)",
            "another version of img2dataset",
        ),
        ("cannot import name 'A' from partially initialized module 'img2dataset.b'", "another version"),
        ("ImportError: cannot import name 'A' from 'numpy' (/a.py)", None),
        ("ModuleNotFoundError: No module named 'pyarrow'", "pyarrow is not installed"),
        ("ValueError: something else", None),
    ],
)
def test_a_machine_without_the_package_is_told_by_its_error(text: str, said: str | None) -> None:
    unable = unable_to_answer(RuntimeError(f"a page of Java\n  {text}\n  at org.apache"))
    assert (unable is None) == (said is None)
    if said is not None:
        assert said in str(unable)


def test_a_task_of_another_version_makes_nothing() -> None:
    pytest.importorskip("pyspark")
    with pytest.raises(RuntimeError, match="is installed there: install the version of the driver"):
        next(make_shards("9.9.9", b"never read", 1, iter([])))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"consent_signals": ["moon"]}, "--consent_signals is 'moon', which no installed package adds"),
        ({"output_format": "moon"}, "--output_format is 'moon', which no installed package adds"),
        ({"allow_schemes": ["moon"]}, "--allow_schemes has 'moon'"),
        ({"ca_bundle": "/nowhere/ca.pem"}, "--ca_bundle names '/nowhere/ca.pem', which cannot be read"),
        ({"client_certificate": "/nowhere/a.pem"}, "--client_certificate names '/nowhere/a.pem'"),
    ],
)
def test_a_machine_without_what_options_name_is_told(
    told: tuple[MemberTask, PlannedShard], changed: dict[str, object], said: str
) -> None:
    with asking(*told) as question:
        fields = json.loads(question)
        text = answer(json.dumps({**fields, "needs": {**fields["needs"], **changed}}))
    with pytest.raises(RunFailed) as raised:
        refuse([read_answer(text)])
    assert f"cannot do this run: {said}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_machine_that_cannot_sign_is_told_and_the_question_has_no_key(
    key: Ed25519PrivateKey, key_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = {"sign_requests": key_file, "signature_agent": AGENT}
    options = resolve({"url_list": ["http://127.0.0.1/"], "output_folder": str(tmp_path / "out"), **signs})
    task = member_task(engine_settings(options), work_settings(options))
    with asking(task, RowsSpec(Shard(0, pa.table({"url": ["http://127.0.0.1/"]})))) as question:
        assert read_answer(answer(question)).problem is None
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
        problem = read_answer(answer(question)).problem
    assert problem is not None
    assert problem.startswith("--sign_requests needs the package cryptography: pip install")
    assert not any(form in question.encode() for form in forms_of(key))
