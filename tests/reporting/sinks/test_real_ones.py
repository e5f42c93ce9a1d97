"""W&B, TensorBoard and MLflow, each read back from its own files by its own reader.

Skipped where they are not installed: ``make .venv/.slow`` does that.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program.runs import run, serve_photographs
from tests.servers import ImageServer

ROWS = 40
pytestmark = pytest.mark.slow  # each loads a large package in a program of its own


def ran(folder: Path, server: ImageServer, environment: dict[str, str], **options: Any) -> Any:
    addresses = serve_photographs(server, 4)
    urls = folder / "list.txt"
    urls.write_text(
        "".join(
            f"{addresses[n % 4]}?{n}\n" if n % 4 else f"{server.url('/missing')}?{n}\n" for n in range(ROWS)
        )
    )
    usual = {"url_list": urls, "output_folder": folder / "out", "number_sample_per_shard": 10}
    return run(**usual, processes_count=1, environment=environment, **options)


EXPECTED = {"total/count": 40, "total/success": 0.75, "total/failed_to_download": 0.25}


def records(path: Path) -> Iterator[Any]:
    """What a .wandb file holds: a log of LevelDB's form, of W&B's own messages."""
    from wandb.proto import wandb_internal_pb2

    contents = path.read_bytes()
    assert contents[:4] == b":W&B"
    position, message = 7, b""
    while position + 7 <= len(contents):
        if (left := 32768 - position % 32768) < 7:
            position += left
            continue
        _, size, kind = struct.unpack_from("<IHB", contents, position)
        message += contents[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            message = b""
            yield record


def wandb_run(folder: Path) -> tuple[Any, dict[str, Any], list[str]]:
    """The run that the one offline file in a folder has, the last value of each metric, and all names."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    made, values = None, {}
    for record in records(path):
        if record.HasField("run"):
            made = record.run
        for item in record.history.item:
            values[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return made, values, sorted(values)


def wandb_environment(folder: Path, **others: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return {"WANDB_MODE": "offline", "WANDB_DIR": str(folder), "HOME": str(folder), **others}


def test_wandb_has_the_numbers_of_a_run_under_the_names_of_1_47_0(
    tmp_path: Path, image_server: ImageServer
) -> None:
    pytest.importorskip("wandb")
    environment = wandb_environment(tmp_path / "one")
    result = ran(tmp_path, image_server, environment, enable_wandb=True, wandb_project="mine")
    assert result.returncode == 0, result.stderr
    made, values, names = wandb_run(tmp_path / "one")
    assert made is not None, result.stderr
    assert made.project == "mine"
    assert {name: values[name] for name in EXPECTED} == EXPECTED
    for part in ("img_per_sec", "success", "failed_to_download", "failed_to_resize", "count"):
        assert {f"worker/{part}", f"total/{part}"} <= set(names)
    assert [name for name in names if name.startswith("status")]
    (table,) = (tmp_path / "one").glob("wandb/offline-run-*/files/media/table/status*.json")
    document = json.loads(table.read_text())
    assert document["columns"] == ["status", "frequency", "count"]
    assert document["data"] == [["success", 0.75, 30], ["HTTP 404", 0.25, 10]]
    # Nothing of W&B stands between the lines of this program.
    assert "wandb:" not in result.stderr + result.stdout
    # The same command goes on with the same run; another folder has its own.
    (tmp_path / "out" / "00001_stats.json").unlink()
    environment = wandb_environment(tmp_path / "two")
    assert ran(tmp_path, image_server, environment, enable_wandb=True, wandb_project="mine").returncode == 0
    assert wandb_run(tmp_path / "two")[0].run_id == made.run_id
    environment = wandb_environment(tmp_path / "three")
    assert ran(tmp_path / "three", image_server, environment, enable_wandb=True).returncode == 0
    assert wandb_run(tmp_path / "three")[0].run_id != made.run_id


def test_wandb_without_a_login_is_told_before_the_run(tmp_path: Path, image_server: ImageServer) -> None:
    pytest.importorskip("wandb")
    environment = wandb_environment(tmp_path / "home", WANDB_MODE="online", WANDB_API_KEY="")
    result = ran(tmp_path, image_server, environment, enable_wandb=True)
    assert result.returncode == 2
    assert "WANDB_MODE=offline" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_wandb_server_that_never_answers_does_not_keep_a_run_from_ending(
    tmp_path: Path, image_server: ImageServer
) -> None:
    pytest.importorskip("wandb")
    environment = wandb_environment(
        tmp_path / "home",
        WANDB_MODE="online",
        WANDB_API_KEY="0" * 40,
        WANDB_BASE_URL=image_server.url("/hang-before-headers"),
    )
    began = time.monotonic()
    result = ran(tmp_path, image_server, environment, enable_wandb=True)
    assert result.returncode == 0, result.stderr
    assert "--sinks wandb" in result.stderr
    assert len(list((tmp_path / "out").glob("*_stats.json"))) == 4
    assert time.monotonic() - began < 60


def test_tensorboard_reads_the_numbers_of_a_run(tmp_path: Path, image_server: ImageServer) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = ran(tmp_path, image_server, {}, sinks="tensorboard")
    assert result.returncode == 0, result.stderr
    (folder,) = (tmp_path / "out" / ".img2dataset_runs" / "tensorboard").iterdir()
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    for name, value in EXPECTED.items():
        last = events.Scalars(name)[-1]
        assert (last.step, last.value) == (ROWS, pytest.approx(value))


def test_mlflow_reads_the_numbers_of_a_run(
    tmp_path: Path, image_server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    store = {"MLFLOW_TRACKING_URI": f"file:{tmp_path}/mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"}
    result = ran(tmp_path, image_server, store, sinks="[mlflow]")
    assert result.returncode == 0, result.stderr
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("img2dataset")
    (made,) = client.search_runs([experiment.experiment_id])
    assert made.info.status == "FINISHED"
    assert {name: made.data.metrics[name] for name in EXPECTED} == EXPECTED
    assert made.data.params["number_sample_per_shard"] == "10"
