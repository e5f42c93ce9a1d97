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

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, InputError, OptionError
from img2dataset.training.batch.collation import Collate, EmptyBatch
from img2dataset.training.batch.feature_files import FeatureWriter, stored_keys
from img2dataset.training.batch.feature_keys import feature_keys
from img2dataset.training.batch.numbered import Numbered
from img2dataset.training.batch.sampling import rank_and_world_size
from img2dataset.training.representation import shown
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
        The number of samples computed now. Rows that fail to load (``on_error="skip"`` or "replace") get
        none.

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
    stored = stored_keys(folder)
    missing = [index for index, key in enumerate(keys) if key not in stored and index % world_size == rank]
    loader = torch.utils.data.DataLoader(
        Numbered(dataset),
        batch_size=batch_size,
        sampler=missing,
        num_workers=num_workers,
        collate_fn=_CollateOwn(collate or Collate()),
    )
    writer = FeatureWriter(folder, f"{rank:05d}", samples_per_shard)
    for loaded in loader:
        for row, features, caption in () if loaded is None else _computed(compute, *loaded):
            writer.add(keys[row], features, caption)
    writer.flush()
    return writer.written


class _CollateOwn:
    """Collates samples that are of the rows they were asked for as, not those that stand in for others."""

    def __init__(self, collate: Callable[[Sequence[Any]], dict[str, Any]]):
        self._collate = collate

    def __call__(self, numbered: Sequence[tuple[int, Any]]) -> tuple[list[int], dict[str, Any]] | None:
        own = [(row, sample) for row, sample in numbered if _row_of(sample, row) == row]
        return ([row for row, _ in own], self._collate([sample for _, sample in own])) if own else None


def _row_of(sample: Any, asked: int) -> int:
    """The row that a sample is of: it says so itself, unless a ``model_transform`` has left that out."""
    return int(sample.get("index", asked)) if isinstance(sample, Mapping) else asked


def _computed(
    compute: Callable[[dict[str, Any]], Mapping[str, Any]], rows: Sequence[int], batch: dict[str, Any]
) -> Iterator[tuple[int, dict[str, Any], Any]]:
    """Of each sample of a batch: its row's number, its features, and the caption that was encoded."""
    # A collation may change the order.
    rows = [int(row) for row in batch.get("index", rows)]
    captions = batch.get("caption") or [""] * len(rows)
    with torch.no_grad():
        made = list(_by_sample(compute(batch), len(rows)))
    yield from zip(rows, made, captions, strict=True)


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
        self._stored = stored_keys(self._folder)
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

    def __getitem__(self, number: int) -> dict[str, Any] | None:
        """The sample of row ``number``; None if it could not be loaded and ``on_error`` is "skip"."""
        sample: dict[str, Any] | None = self._samples([range(len(self))[number]])[0]
        return sample

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """The samples of several rows; what has no features yet is computed together.

        Of a row that cannot be loaded it does what the dataset's ``on_error`` says.
        """
        samples = [sample for sample in self._samples(numbers) if sample is not None]
        if not samples:
            raise EmptyBatch.of(len(numbers), self.dataset.failures.get(self.indices[numbers[-1]]))
        return samples

    def load_batch(self, numbers: Sequence[int]) -> Callable[[], list[Any]]:
        """What gives the samples of several rows, None for those that were skipped."""
        return lambda: self._samples(numbers)

    def _samples(self, numbers: Sequence[int]) -> list[Any]:
        indices = [self.indices[number] for number in numbers]
        missing = [index for index in dict.fromkeys(indices) if self._keys[index] not in self._stored]
        rows = self._compute_missing(missing) if missing else {}
        rows |= {index: index for index in indices if self._keys[index] in self._stored}
        whole = self._whole_samples(rows.values()) if self.with_samples else {}
        samples = {}
        for index, row in rows.items():
            if not self.with_samples:
                samples[index] = self._sample(row)
            elif row in whole:
                samples[index] = whole[row]
        return [samples.get(index) for index in indices]

    def _whole_samples(self, rows: Iterable[int]) -> dict[int, Any]:
        """The dataset's own samples of rows, with the features added, unless their images failed."""
        whole = {}
        for asked, sample in Numbered(self.dataset).__getitems__(list(dict.fromkeys(rows))):
            # What stands in for a failed one goes with its own features.
            row = _row_of(sample, asked)
            if self._keys[row] in self._stored:
                whole[asked] = dict(sample) | self._features(row)
        return whole

    def _compute_missing(self, indices: list[int]) -> dict[int, int]:
        """Compute what has no features; for each that has some now the row that they are of."""
        assert self._compute is not None
        # Another worker, or another rank, may have computed them meanwhile.
        self._stored = stored_keys(self._folder, self._stored)
        indices = [index for index in indices if self._keys[index] not in self._stored]
        numbered = Numbered(self.dataset).__getitems__(indices) if indices else []
        rows = {index: _row_of(sample, index) for index, sample in numbered}
        # One stands in for those that failed; it may be among the others, or be known.
        found = {rows[index]: sample for index, sample in numbered}
        new = {row: sample for row, sample in found.items() if self._keys[row] not in self._stored}
        if new:
            writer = FeatureWriter(self._folder, f"fly-{uuid.uuid4().hex[:12]}", len(new) + 1)
            batch = self._collate(list(new.values()))
            for row, features, caption in _computed(self._compute, list(new), batch):
                writer.add(self._keys[row], features, caption)
            writer.flush()
            self._stored = stored_keys(self._folder, self._stored)
        return rows

    def _sample(self, index: int) -> dict[str, Any]:
        row = self.dataset.rows.row(index)
        used = self.dataset.columns
        metadata = {name: value for name, value in row.items() if name not in used.values()}
        features = self._features(index)
        key = self._keys[index]
        caption = self._captions[self._stored[key][0]][key]
        return {**features, "index": index, "caption": caption, "metadata": metadata}

    def _features(self, index: int) -> dict[str, Any]:
        key = self._keys[index]
        shard, fields = self._stored[key]
        file = self._opened(shard)
        return {field: file.get_tensor(f"{key}/{field}") for field in fields}

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
