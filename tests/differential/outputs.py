"""What a program left in its output folder, read by plain readers into one shape for all formats.

Comes in: a folder and its output format. Goes out: ``Output``. Called by ``run.py``.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from img2dataset.formats.dataset import REPORT_NAMES
from tests.differential.environments import program_environment

# This project's record of its runs; 1.47.0 keeps none.
OWN_PREFIX = ".img2dataset"
IMAGE_COLUMNS = ("jpg", "png", "webp")


def _is_own(path: Path, folder: Path) -> bool:
    """Whether a file is one that this program puts beside the dataset: hidden, or its report."""
    first = path.relative_to(folder).parts[0]
    return first.startswith(OWN_PREFIX) or first in REPORT_NAMES


@dataclass
class Output:
    """A dataset on disk.

    Args:
        files: paths below the folder, sorted.
        tables: the metadata of each shard, in the order of its keys, without the image column.
        schemas: the columns of each parquet file with their types, as they stand in the file.
        samples: for each key the contents by ending, or by feature for tfrecord.
        members: the endings of each key in the order they are stored (tar only).
        statistics: of each shard.
    """

    files: list[str]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    schemas: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every row's metadata by its key."""
        return {row["key"]: row for table in self.tables.values() for row in table}


def read_output(folder: Path, tensorflow_python: Path | None) -> Output:
    """Read all files of a dataset.

    Args:
        folder: the output folder of a finished run.
        tensorflow_python: an interpreter with TensorFlow, to read tfrecords with.

    Raises:
        ValueError: a file with a name neither program should write, or a key that stands twice.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_own(path, folder))
    output = Output([str(path.relative_to(folder)) for path in paths])
    for path in paths:
        if path.name.endswith("_stats.json"):
            output.statistics[path.name.removesuffix("_stats.json")] = json.loads(path.read_text())
        elif path.suffix == ".parquet":
            _read_parquet(path, output)
        elif path.suffix == ".tar":
            _read_tar(path, output)
        elif path.suffix == ".tfrecord":
            _read_tfrecord(path, output, tensorflow_python)
        elif path.parent != folder:
            _add(output, path.stem, path.suffix[1:], path.read_bytes())
        else:
            raise ValueError(f"{path} is no file of a dataset")
    return output


def _add(output: Output, key: str, ending: str, content: Any) -> None:
    sample = output.samples.setdefault(key, {})
    if ending in sample:
        raise ValueError(f"sample {key} has two {ending}")
    sample[ending] = content
    output.members.setdefault(key, []).append(ending)


def _read_parquet(path: Path, output: Output) -> None:
    table = pq.ParquetFile(path).read()
    output.schemas[path.stem] = [(column.name, str(column.type)) for column in table.schema]
    for name in IMAGE_COLUMNS:
        if name in table.column_names and pa.types.is_binary(table.schema.field(name).type):
            for key, image in zip(table["key"].to_pylist(), table[name].to_pylist(), strict=True):
                if image is not None:
                    _add(output, key, name, image)
            table = table.drop_columns([name])
    output.tables[path.stem] = sorted(table.to_pylist(), key=lambda row: row["key"])


def _read_tar(path: Path, output: Output) -> None:
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is None:
                raise ValueError(f"{path} has {member.name}, which is no file")
            key, _, ending = member.name.partition(".")
            _add(output, key, ending, content.read())


def _read_tfrecord(path: Path, output: Output, tensorflow_python: Path | None) -> None:
    if tensorflow_python is None:
        raise ValueError("tfrecords can be compared only with TensorFlow")
    script = Path(__file__).with_name("tensorflow_reader.py")
    finished = subprocess.run(
        [str(tensorflow_python), str(script), str(path)],
        capture_output=True,
        text=True,
        env=program_environment(),
    )
    if finished.returncode:
        raise ValueError(f"TensorFlow cannot read {path}: {finished.stderr.strip().splitlines()[-1:]}")
    for features in json.loads(finished.stdout.splitlines()[-1]):
        key = bytes.fromhex(features["key"]["values"][0]).decode()
        for name, feature in features.items():
            values = feature["values"]
            if feature["kind"] == "bytes_list":
                values = [bytes.fromhex(value) for value in values]
            is_image = name in IMAGE_COLUMNS
            _add(output, key, name, values[0] if is_image else (feature["kind"], values))
