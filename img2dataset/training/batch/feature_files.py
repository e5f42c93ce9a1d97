"""Shards of features: tensors of samples in, safetensors files out, and which keys are in those of a folder.

Called by ``features``. A shard has tensors named ``KEY/FIELD``, and the captions that were encoded.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from img2dataset.storage.putting import put_whole
from img2dataset.training.requirements import require


class FeatureWriter:
    """Collects the features of samples and writes them, a shard at a time."""

    def __init__(self, folder: Path, writer: str, samples_per_shard: int):
        self._folder = folder
        self._writer = writer
        self._samples_per_shard = samples_per_shard
        self._tensors: dict[str, Any] = {}
        self._captions: dict[str, Any] = {}
        self._samples = 0
        self.written = 0
        for leftover in folder.glob(f".features-{writer}-*.tmp"):
            leftover.unlink()

    def add(self, key: str, features: Mapping[str, Any], caption: Any) -> None:
        self._captions[key] = caption
        self._tensors |= {f"{key}/{field}": tensor for field, tensor in features.items()}
        self._samples += 1
        if self._samples >= self._samples_per_shard:
            self.flush()

    def flush(self) -> None:
        if not self._tensors:
            return
        number = 1 + max(
            (int(path.stem.rpartition("-")[2]) for path in self._folder.glob(f"features-{self._writer}-*")),
            default=-1,
        )
        save = require("safetensors.torch", "precomputed features").save_file
        temporary = self._folder / f".features-{self._writer}-{uuid.uuid4().hex}.tmp"
        with put_whole(self._folder / f"features-{self._writer}-{number:05d}.safetensors", temporary):
            save(self._tensors, str(temporary), {"captions": json.dumps(self._captions)})
        self.written += self._samples
        self._tensors, self._captions, self._samples = {}, {}, 0


def stored_keys(
    folder: Path, known: Mapping[str, tuple[str, list[str]]] | None = None
) -> dict[str, tuple[str, list[str]]]:
    """For each key that has features, its shard and its fields' names; ``known``: from an earlier look."""
    safetensors = require("safetensors", "precomputed features")
    stored = dict(known or {})
    read = {shard for shard, _ in stored.values()}
    for path in sorted(folder.glob("features-*.safetensors")):
        if path.name in read:
            continue
        with safetensors.safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                key, _, field = name.partition("/")
                shard, fields = stored.setdefault(key, (path.name, []))
                if shard == path.name:
                    fields.append(field)
    return stored
