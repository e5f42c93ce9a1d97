"""Features computed once: a dataset and a callable come in, shards of tensors go out, and are read in its
place.

``precompute`` runs an encoder (a VAE, T5 …) over a dataset and stores what it returns for each sample, in
safetensors shards: ``features-RANK-NNNNN.safetensors``, tensors named ``KEY/FIELD``, with the captions that
were encoded. A key is the hash of what the features depend on: the sample's row, the sizes and times of its
local files, all that the dataset makes a sample with (``identity``), and ``version``. ``FeatureDataset``
reads the shards, or computes what is not there yet and keeps it. A shard is renamed into place whole; what is
there is not computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, InputError, OptionError
from img2dataset.storage.putting import put_whole
from img2dataset.training.batch.collation import Collate
from img2dataset.training.batch.identity import identity
from img2dataset.training.batch.sampling import rank_and_world_size
from img2dataset.training.load.sources import is_url, located
from img2dataset.training.representation import shown
from img2dataset.training.requirements import require

torch = require("torch", "precomputed features")

# Of what a key is made of: features of another one are computed again.
FORMAT = "features 2"


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
    writer = _FeatureWriter(folder, f"{rank:05d}", samples_per_shard)
    for batch in loader:
        for index, features, caption in _computed(compute, batch):
            # A sample that stands in for one that failed has another row, and so another key.
            writer.add(keys[index], features, caption)
    writer.flush()
    return writer.written


def _computed(
    compute: Callable[[dict[str, Any]], Mapping[str, Any]], batch: dict[str, Any]
) -> Iterator[tuple[int, dict[str, Any], Any]]:
    """Of each sample of a batch: its row's number, its features, and the caption that was encoded."""
    indices = [int(index) for index in batch["index"]]
    captions = batch.get("caption") or [""] * len(indices)
    with torch.no_grad():
        made = list(_by_sample(compute(batch), len(indices)))
    yield from zip(indices, made, captions, strict=True)


class FeatureDataset(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """The features of a dataset, in place of computing them: map-style, of the same length.

    Args:
        dataset: the same as was given to ``precompute``, with the same list and transforms.
        folder, version: likewise.
        with_samples: True: the dataset's own sample, image and all, with the features added; False: nothing
            is loaded but the features.
        on_missing: "raise"; "skip": rows without features are left out of the dataset; "compute": they are
            computed when they are asked for, a batch at a time, and kept: the first epoch computes, the next
            ones read.
        compute: for "compute", as ``precompute`` takes it. It runs where the samples are loaded: with
            workers, in each of them.
        collate: likewise.

    A sample is a dictionary of the features by name, ``index``, ``caption`` as it was encoded, and
    ``metadata`` as in the list.

    Raises:
        InputError: features are missing, and how many.
        OptionError: ``on_missing`` and ``compute`` do not go together, or the dataset makes its samples with
            something that cannot be known again.
    """

    def __init__(
        self,
        dataset: Any,
        folder: str | os.PathLike[str],
        *,
        version: str,
        with_samples: bool = False,
        on_missing: Literal["raise", "skip", "compute"] = "raise",
        compute: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        collate: Callable[[Sequence[Any]], dict[str, Any]] | None = None,
    ):
        if on_missing not in ("raise", "skip", "compute"):
            raise OptionError(f"on_missing is {on_missing!r}; it takes 'raise', 'skip', 'compute'")
        if (compute is not None) != (on_missing == "compute"):
            raise OptionError("on_missing='compute' and compute=… are given together, or neither of them")
        self.dataset = dataset
        self.with_samples = with_samples
        self._compute = compute
        self._collate = collate or Collate(pad_images=False)
        self._folder = Path(folder).expanduser()
        if compute is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._keys = feature_keys(dataset, version)
        self._stored = _stored_keys(self._folder)
        self._open: dict[str, Any] = {}
        self._captions: dict[str, dict[str, Any]] = {}
        self._process_id = os.getpid()
        if on_missing == "compute":
            self.indices = list(range(len(self._keys)))
            return
        self.indices = [index for index, key in enumerate(self._keys) if key in self._stored]
        missing = len(self._keys) - len(self.indices)
        if missing and on_missing != "skip":
            raise InputError(
                f"{missing} of {len(self._keys)} samples have no features of version {version!r} in"
                f" {str(folder)!r}; run precompute with the same dataset and version, or give"
                " on_missing='skip', or 'compute'"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return shown(
            self,
            f"{len(self)} of {counted(len(self._keys), 'row')} in {str(self._folder)!r}",
            of=self.dataset,
        )

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """The samples of several rows; what has no features yet is computed together."""
        indices = [self.indices[number] for number in numbers]
        missing = [index for index in dict.fromkeys(indices) if self._keys[index] not in self._stored]
        if missing:
            self._compute_missing(missing)
        # One that could not be loaded has none; its batch is smaller, as on_error="skip" says.
        return [self._sample(index) for index in indices if self._keys[index] in self._stored]

    def _compute_missing(self, indices: list[int]) -> None:
        assert self._compute is not None
        # Another worker, or another rank, may have computed them meanwhile.
        self._stored = _stored_keys(self._folder, self._stored)
        indices = [index for index in indices if self._keys[index] not in self._stored]
        if not indices:
            return
        get_all = getattr(self.dataset, "__getitems__", None)
        samples = get_all(indices) if get_all is not None else [self.dataset[index] for index in indices]
        writer = _FeatureWriter(self._folder, f"fly-{uuid.uuid4().hex[:12]}", len(indices) + 1)
        for index, features, caption in _computed(self._compute, self._collate(samples)):
            writer.add(self._keys[index], features, caption)
        writer.flush()
        self._stored = _stored_keys(self._folder, self._stored)

    def _sample(self, index: int) -> dict[str, Any]:
        key = self._keys[index]
        shard, fields = self._stored[key]
        file = self._opened(shard)
        features = {field: file.get_tensor(f"{key}/{field}") for field in fields}
        if self.with_samples:
            return dict(self.dataset[index]) | features
        row = self.dataset.rows.row(index)
        used = self.dataset.columns
        metadata = {name: value for name, value in row.items() if name not in used.values()}
        return {**features, "index": index, "caption": self._captions[shard][key], "metadata": metadata}

    def _opened(self, shard: str) -> Any:
        if self._process_id != os.getpid():
            self._open, self._process_id = {}, os.getpid()
        if shard not in self._open:
            safetensors = require("safetensors", "precomputed features")
            file = safetensors.safe_open(str(self._folder / shard), framework="pt")
            self._captions[shard] = json.loads((file.metadata() or {}).get("captions", "{}"))
            self._open[shard] = file
        return self._open[shard]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}


def feature_keys(dataset: Any, version: str) -> list[str]:
    """The key of each sample: a hash of its row, its files' sizes and times, and what the module says.

    Raises:
        OptionError: as ``identity``; or the dataset is of another kind.
    """
    if not all(hasattr(dataset, name) for name in ("rows", "transforms", "sources")):
        raise OptionError(
            f"features are of an ImageTextDataset, not of a {type(dataset).__name__}, whose samples cannot be"
            " known again; give its datasets, each for itself, and join what FeatureDataset makes of them"
        )
    transforms = dataset.transforms
    made_with = {
        "img_transform": transforms.img_transform,
        "caption_transform": transforms.caption_transform,
        "tokenizer": transforms.tokenizer,
        "model_transform": getattr(dataset, "model_transform", None),
        "buckets": dataset.buckets,
        "captions": dataset.captions,
        "column_map": dict(dataset.columns),
        "mode": dataset.loader.mode,
        "seed": dataset.seed,
        "images_alike": getattr(dataset, "images_alike", True),
    }
    described = [f"{name}: {identity(value, name)}" for name, value in made_with.items()]
    common = "\n".join([FORMAT, version, *described])
    return [_key(common, dataset, index) for index in range(len(dataset))]


def _key(common: str, dataset: Any, index: int) -> str:
    digest = hashlib.sha256(common.encode())
    row = dataset.rows.row(index)
    digest.update(json.dumps(row, sort_keys=True, default=_row_value).encode())
    for source in map(located, dataset.sources(index)):
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


def _stored_keys(
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
