"""Several datasets as one: numbers over all of them in, samples out, a batch loaded at the same time.

Like PyTorch's own, which asks its datasets for one sample after the other, and which samplers and buckets do
not see through.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from img2dataset.counted import counted
from img2dataset.errors import OptionError
from img2dataset.training.batch.collation import EmptyBatch
from img2dataset.training.batch.sampling import tell_epoch
from img2dataset.training.representation import shown
from img2dataset.training.requirements import require

torch = require("torch", "a dataset for PyTorch")

Finish = Callable[[], list[Any]]


class ConcatDataset(torch.utils.data.ConcatDataset):  # type: ignore[misc, name-defined]
    """Map-style datasets one after the other, for a ``DataLoader`` and the samplers here.

    Images of a batch are loaded at the same time, whichever dataset they are of. ``set_epoch`` reaches all
    datasets, those inside a ``Subset`` or another concatenation as well. For a ``BucketSampler`` all of them
    have the same buckets.

    Args:
        datasets: ``ImageTextDataset``, ``MetadataDataset`` and others with a length, also a ``Subset`` of
            them.

    Samples are as their datasets give them: ``index`` is the row's number in its own list.

    Raises:
        OptionError: there are none, or one has no length.
    """

    def __init__(self, datasets: Iterable[Any]):
        given = list(datasets)
        if not given:
            raise OptionError("datasets is empty; give at least one")
        for dataset in given:
            if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
                raise OptionError(
                    f"a {type(dataset).__name__} has no rows by number and cannot be concatenated; give"
                    " map-style datasets, or chain streams with torch.utils.data.ChainDataset"
                )
        super().__init__(given)

    def __repr__(self) -> str:
        return shown(self, f"{counted(len(self), 'row')}", *map(repr, self.datasets))

    def __getitem__(self, index: int) -> Any:
        """The sample of number ``index``; None if it failed and its dataset's ``on_error`` is "skip"."""
        return self._samples([range(len(self))[index]])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples of several numbers, in their order, without those that were skipped."""
        samples = [sample for sample in self._samples(indices) if sample is not None]
        if not samples:
            raise EmptyBatch.of(len(indices), self.failures.get(int(indices[-1])))
        return samples

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is, to all datasets."""
        for dataset in self.datasets:
            tell_epoch(dataset, epoch)

    def bucket_ids(self) -> Any:
        """The bucket of each number, int32, −1 for none.

        Raises:
            OptionError: the datasets have not all the same buckets.
        """
        import numpy as np

        sizes = {_bucket_sizes(dataset) for dataset in self.datasets}
        if None in sizes or len(sizes) > 1:
            raise OptionError(
                "the datasets of a concatenation have not all the same buckets; give each of them buckets="
                " with the same sizes"
            )
        return np.concatenate([_bucket_ids(dataset) for dataset in self.datasets])

    @property
    def failures(self) -> dict[int, str]:
        """The numbers that were left out so far, and why."""
        return _failures(self)

    def _samples(self, numbers: Sequence[int]) -> list[Any]:
        """The samples of ``numbers``, None for those that were skipped."""
        # What is asked of each dataset, and where it goes; one that is there twice is asked once.
        asked: dict[int, tuple[Any, list[int], list[int]]] = {}
        for place, number in enumerate(numbers):
            dataset, index = _row(self, int(number))
            _, indices, places = asked.setdefault(id(dataset), (dataset, [], []))
            indices.append(index)
            places.append(place)
        samples: list[Any] = [None] * len(numbers)
        for finish, (_, _, places) in zip(self._loaded(list(asked.values())), asked.values(), strict=True):
            # Datasets of others leave out what they skip, as PyTorch lets them.
            for place, sample in zip(places, finish(), strict=False):
                samples[place] = sample
        return samples

    def _loaded(self, asked: list[tuple[Any, list[int], list[int]]]) -> list[Finish]:
        """For each dataset what makes its samples, once the images of all of them are there."""
        if len(asked) == 1:
            return [_load(*asked[0][:2])]
        # Samples are made one after the other, in this thread: transforms may draw from PyTorch's generator.
        with ThreadPoolExecutor(len(asked)) as threads:
            return list(threads.map(lambda one: _load(*one[:2]), asked))


def _load(dataset: Any, indices: list[int]) -> Finish:
    if hasattr(dataset, "load_batch"):
        finish: Finish = dataset.load_batch(indices)
        return finish
    if hasattr(dataset, "__getitems__"):
        return lambda: _without_skipped(dataset, indices)
    return lambda: [dataset[index] for index in indices]


def _without_skipped(dataset: Any, indices: list[int]) -> list[Any]:
    try:
        return list(dataset.__getitems__(indices))
    except EmptyBatch:  # of this dataset; the others may have samples
        return []


def _row(dataset: Any, index: int) -> tuple[Any, int]:
    """The dataset that has a row of its own, and the number it has there."""
    if isinstance(dataset, torch.utils.data.Subset):
        return _row(dataset.dataset, int(dataset.indices[index]))
    if isinstance(dataset, torch.utils.data.ConcatDataset):
        part = bisect_right(dataset.cumulative_sizes, index)
        return _row(dataset.datasets[part], index - (dataset.cumulative_sizes[part - 1] if part else 0))
    return dataset, index


def _bucket_sizes(dataset: Any) -> Any:
    """The sizes of a dataset's buckets; None where it has none, or its parts have different ones."""
    if isinstance(dataset, torch.utils.data.Subset):
        return _bucket_sizes(dataset.dataset)
    if isinstance(dataset, torch.utils.data.ConcatDataset):
        sizes = {_bucket_sizes(part) for part in dataset.datasets}
        return sizes.pop() if len(sizes) == 1 else None
    buckets = getattr(dataset, "buckets", None)
    return None if buckets is None else buckets.sizes


def _bucket_ids(dataset: Any) -> Any:
    import numpy as np

    if isinstance(dataset, torch.utils.data.Subset):
        return _bucket_ids(dataset.dataset)[np.asarray(dataset.indices, np.int64)]
    if isinstance(dataset, torch.utils.data.ConcatDataset):
        return np.concatenate([_bucket_ids(part) for part in dataset.datasets])
    return dataset.bucket_ids()


def _failures(dataset: Any) -> dict[int, str]:
    if isinstance(dataset, torch.utils.data.Subset):
        inner = _failures(dataset.dataset)
        return {number: inner[index] for number, index in enumerate(dataset.indices) if index in inner}
    if isinstance(dataset, torch.utils.data.ConcatDataset):
        starts = (0, *dataset.cumulative_sizes)
        return {
            start + index: reason
            for start, part in zip(starts, dataset.datasets, strict=False)
            for index, reason in _failures(part).items()
        }
    return dict(getattr(dataset, "failures", {}))
