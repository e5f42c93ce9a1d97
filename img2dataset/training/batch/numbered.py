"""A dataset in, its samples with the numbers they were asked for by out, whatever is skipped.

Called by ``features`` and ``device_dataset``, which must know of which row a sample is.
"""

from __future__ import annotations

from typing import Any

from img2dataset.training.batch.collation import EmptyBatch
from img2dataset.training.requirements import require

torch = require("torch", "a dataset for PyTorch")


class Numbered(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """Pairs of a number and its sample, without those that were skipped; a batch of them may be empty."""

    def __init__(self, dataset: Any):
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitems__(self, numbers: list[int]) -> list[tuple[int, Any]]:
        return [
            (number, sample)
            for number, sample in zip(numbers, self._samples(numbers), strict=True)
            if sample is not None
        ]

    def _samples(self, numbers: list[int]) -> list[Any]:
        if hasattr(self._dataset, "load_batch"):
            samples: list[Any] = self._dataset.load_batch(numbers)()
            return samples
        if hasattr(self._dataset, "__getitems__"):
            try:
                samples = list(self._dataset.__getitems__(numbers))
            except EmptyBatch:
                return [None] * len(numbers)
            if len(samples) == len(numbers):
                return samples
        return [self._dataset[number] for number in numbers]
