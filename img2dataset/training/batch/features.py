"""Features computed once: a dataset and a callable come in, shards of tensors go out, and are read in its
place.

``precompute`` runs an encoder (a VAE, T5 …) over a dataset and stores what it returns for each sample, in
safetensors shards: ``features-RANK-NNNNN.safetensors``, tensors named ``KEY/FIELD``. A key is the hash of
what the features depend on: the sample's row, the sizes and times of its local files, the dataset's image
transform, buckets and choice of captions, and ``version``. It does not know the caption transform and the
tokenizer: another one needs another ``version``. ``FeatureDataset`` reads the shards. A shard is renamed into
place whole; what is there is not computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from img2dataset.errors import Img2datasetError, InputError, OptionError
from img2dataset.storage.putting import put_whole
from img2dataset.training.batch.collation import Collate
from img2dataset.training.batch.sampling import rank_and_world_size
from img2dataset.training.load.sources import is_url
from img2dataset.training.requirements import require

torch = require("torch", "precomputed features")


def precompute(
    dataset: Any,
    compute: Callable[[dict[str, Any]], Mapping[str, Any]],
    folder: str | os.PathLike[str],
    *,
    version: str,
    batch_size: int = 16,
    num_workers: int = 0,
    samples_per_shard: int = 1024,
    collate: Callable[[Sequence[Any]], dict[str, Any]] | None = None,
    rank: int | None = None,
    world_size: int | None = None,
) -> int:
    """Run ``compute`` over every sample of ``dataset`` that has no features yet.

    Args:
        dataset: an ``ImageTextDataset`` (or another map-style dataset of samples with ``index``).
        compute: called with a batch; returns tensors by name, each of shape (batch, …) or a list of batch
            tensors (of different lengths, for text).
        folder: where the shards go.
        version: names the callable and its weights, for example "sd-vae-ft-mse fp16". Another version has
            other features.
        batch_size, num_workers, collate: of the ``DataLoader`` that loads the samples.
        samples_per_shard: samples a shard.
        rank, world_size: each rank computes its share; None: as PyTorch's process group says, or alone.

    Returns:
        The number of samples computed now. Samples that fail to load (``on_error="skip"``) get none.

    Raises:
        OptionError: no version, or a value out of its range.
        Img2datasetError: ``compute`` returned something else than a tensor a sample.
    """
    if not version:
        raise OptionError(
            "version is empty; name the callable and its weights, so that others are not mixed up"
        )
    if batch_size < 1 or samples_per_shard < 1:
        raise OptionError(
            f"batch_size={batch_size}, samples_per_shard={samples_per_shard}: both are at least 1"
        )
    rank, world_size = rank_and_world_size(rank, world_size)
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    keys = feature_keys(dataset, version)
    stored = _stored_keys(folder)
    missing = [index for index, key in enumerate(keys) if key not in stored and index % world_size == rank]
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=missing,
        num_workers=num_workers,
        collate_fn=collate or Collate(pad_images=False),
    )
    writer = _FeatureWriter(folder, rank, samples_per_shard)
    with torch.no_grad():
        for batch in loader:
            indices = [int(index) for index in batch["index"]]
            for at, features in enumerate(_by_sample(compute(batch), len(indices))):
                # A sample that stands in for one that failed has another row, and so another key.
                writer.add(keys[indices[at]], features)
    writer.flush()
    return writer.written


class FeatureDataset(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """The features of a dataset, in place of computing them: map-style, of the same length.

    Args:
        dataset: the same as was given to ``precompute``, with the same list and transforms.
        folder, version: likewise.
        with_samples: True: the dataset's own sample, image and all, with the features added; False: nothing
            is loaded but the features.
        on_missing: "raise", or "skip": rows without features are left out of the dataset.

    A sample is a dictionary of the features by name, ``index``, and ``caption`` and ``metadata`` as in the
    list.

    Raises:
        InputError: features are missing, and how many.
    """

    def __init__(
        self,
        dataset: Any,
        folder: str | os.PathLike[str],
        *,
        version: str,
        with_samples: bool = False,
        on_missing: str = "raise",
    ):
        self.dataset = dataset
        self.with_samples = with_samples
        self._folder = Path(folder).expanduser()
        self._keys = feature_keys(dataset, version)
        self._stored = _stored_keys(self._folder)
        self.indices = [index for index, key in enumerate(self._keys) if key in self._stored]
        missing = len(self._keys) - len(self.indices)
        if missing and on_missing != "skip":
            raise InputError(
                f"{missing} of {len(self._keys)} samples have no features of version {version!r} in"
                f" {str(folder)!r}; run precompute with the same dataset and version, or give"
                " on_missing='skip'"
            )
        self._open: dict[str, Any] = {}
        self._process_id = os.getpid()

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> dict[str, Any]:
        index = self.indices[number]
        key = self._keys[index]
        shard, fields = self._stored[key]
        file = self._opened(shard)
        features = {field: file.get_tensor(f"{key}/{field}") for field in fields}
        if self.with_samples:
            return dict(self.dataset[index]) | features
        row = self.dataset.rows.row(index)
        used = self.dataset.columns
        captions = row.get(used.get("caption", ""))
        metadata = {name: value for name, value in row.items() if name not in used.values()}
        return {**features, "index": index, "caption": captions or "", "metadata": metadata}

    def _opened(self, shard: str) -> Any:
        if self._process_id != os.getpid():
            self._open, self._process_id = {}, os.getpid()
        if shard not in self._open:
            safetensors = require("safetensors", "precomputed features")
            self._open[shard] = safetensors.safe_open(str(self._folder / shard), framework="pt")
        return self._open[shard]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}


def feature_keys(dataset: Any, version: str) -> list[str]:
    """The key of each sample: a hash of its row, its files' sizes and times, and what the module says."""
    described = [version]
    described.append(_described(dataset.transforms.img_transform))
    described += [repr(dataset.buckets), repr(dataset.captions)]
    common = "\n".join(described)
    return [_key(common, dataset, index) for index in range(len(dataset))]


def _key(common: str, dataset: Any, index: int) -> str:
    digest = hashlib.sha256(common.encode())
    row = dataset.rows.row(index)
    digest.update(json.dumps(row, sort_keys=True, default=_row_value).encode())
    for source in dataset.sources(index):
        if (
            isinstance(source, str)
            and not is_url(source)
            and "://" not in source[:20]
            and source[:5] != "data:"
        ):
            base = dataset.loader.sources.base_path
            path = Path(source).expanduser() if base is None else base / source
            try:
                status = path.stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            except OSError:
                pass  # a file that is not there fails when it is loaded
    return digest.hexdigest()[:40]


def _row_value(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return hashlib.sha256(value).hexdigest()
    if hasattr(value, "tobytes"):
        return hashlib.sha256(value.tobytes()).hexdigest()
    return repr(value)


def _described(transform: Any) -> str:
    """A transform as text that is the same in every process; of functions, where they are defined."""
    if transform is None or isinstance(transform, (str, int, float)):
        return repr(transform)
    text = repr(transform)
    if " at 0x" not in text:
        return text
    kind = type(transform)
    return f"{kind.__module__}.{getattr(transform, '__qualname__', kind.__qualname__)}"


def _by_sample(computed: Mapping[str, Any], count: int) -> Iterator[dict[str, Any]]:
    for name, values in computed.items():
        if "/" in name or len(values) != count:
            raise Img2datasetError(
                f"compute returned {len(values)} values of {name!r} for {count} samples; it returns one"
                " tensor a sample by name, without '/' in the name"
            )
    for at in range(count):
        # Cloned: a view would keep the whole batch with every sample.
        yield {
            name: torch.as_tensor(values[at]).detach().cpu().contiguous().clone()
            for name, values in computed.items()
        }


class _FeatureWriter:
    """Collects the features of samples and writes them, a shard at a time."""

    def __init__(self, folder: Path, rank: int, samples_per_shard: int):
        self._folder = folder
        self._rank = rank
        self._samples_per_shard = samples_per_shard
        self._tensors: dict[str, Any] = {}
        self._samples = 0
        self.written = 0
        for leftover in folder.glob(f".features-{rank:05d}-*.tmp"):
            leftover.unlink()

    def add(self, key: str, features: Mapping[str, Any]) -> None:
        self._tensors |= {f"{key}/{field}": tensor for field, tensor in features.items()}
        self._samples += 1
        if self._samples >= self._samples_per_shard:
            self.flush()

    def flush(self) -> None:
        if not self._tensors:
            return
        number = 1 + max(
            (int(path.stem.rpartition("-")[2]) for path in self._folder.glob(f"features-{self._rank:05d}-*")),
            default=-1,
        )
        save = require("safetensors.torch", "precomputed features").save_file
        temporary = self._folder / f".features-{self._rank:05d}-{uuid.uuid4().hex}.tmp"
        with put_whole(self._folder / f"features-{self._rank:05d}-{number:05d}.safetensors", temporary):
            save(self._tensors, str(temporary))
        self.written += self._samples
        self._tensors, self._samples = {}, 0


def _stored_keys(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """For each key that has features, its shard and the names of its fields."""
    safetensors = require("safetensors", "precomputed features")
    stored: dict[str, tuple[str, list[str]]] = {}
    for path in sorted(folder.glob("features-*.safetensors")):
        with safetensors.safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                key, _, field = name.partition("/")
                shard, fields = stored.setdefault(key, (path.name, []))
                if shard == path.name:
                    fields.append(field)
    return stored
