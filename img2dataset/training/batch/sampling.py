"""Samplers: which rows come next, on this rank, in this epoch. Given to a PyTorch ``DataLoader``.

Both shuffle by seed and epoch, give every rank the same number of samples or batches, tell the dataset which
epoch it is, and can go on in the middle of an epoch. An epoch that was gone through to its end is followed by
the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from img2dataset.errors import OptionError
from img2dataset.training.randomness import number_of
from img2dataset.training.requirements import require

torch = require("torch", "a sampler for PyTorch")


class _EpochSampler(torch.utils.data.Sampler):  # type: ignore[misc, name-defined]
    """What both samplers share: seed, epoch, rank and position."""

    def __init__(self, dataset: Any, seed: int, rank: int | None, world_size: int | None):
        self.dataset = dataset
        self.seed = seed
        self.rank, self.world_size = rank_and_world_size(rank, world_size)
        self.epoch = 0
        self._skipped = 0
        self._given = 0

    def set_epoch(self, epoch: int) -> None:
        """Begin epoch number ``epoch`` at the next iteration."""
        self.epoch, self._skipped, self._given = epoch, 0, 0

    def state_dict(self, consumed: int | None = None) -> dict[str, int]:
        """The position.

        Args:
            consumed: items of this rank that training has used in this epoch. A ``DataLoader`` with workers
                takes items ahead of their use, so only the training loop knows; None: all that were given
                out.
        """
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "consumed": self._given if consumed is None else consumed,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where ``state`` says, at the next iteration.

        Raises:
            OptionError: it is the state of a sampler with another seed.
        """
        if state["seed"] != self.seed:
            raise OptionError(
                f"the state is of seed {state['seed']}, this sampler's seed is {self.seed}; use the same"
            )
        self.epoch, self._skipped = state["epoch"], state["consumed"]
        self._given = self._skipped

    def _items(self, epoch: int) -> Sequence[Any]:
        """This rank's items of an epoch."""
        raise NotImplementedError(f"{type(self).__name__} must say what it gives out")

    def __iter__(self) -> Iterator[Any]:
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(self.epoch)
        items = self._items(self.epoch)
        self._given, self._skipped = self._skipped, 0
        for item in items[self._given :]:
            self._given += 1
            yield item
        self.epoch, self._given = self.epoch + 1, 0

    def __len__(self) -> int:
        return len(self._items(self.epoch)) - self._skipped


class ShuffleSampler(_EpochSampler):
    """Rows in an order that depends on seed and epoch, divided among ranks.

    Args:
        dataset: with a length; its ``set_epoch`` is called, if it has one.
        shuffle: False: in the order of the list.
        seed: of the order.
        rank, world_size: None: as PyTorch's process group says, or alone.
        drop_last: leave out the last rows that do not make one for each rank; otherwise the first ones of the
            epoch are given out a second time.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        shuffle: bool = True,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        drop_last: bool = False,
    ):
        super().__init__(dataset, seed, rank, world_size)
        self.shuffle = shuffle
        self.drop_last = drop_last

    def _items(self, epoch: int) -> Sequence[int]:
        import numpy as np

        count = len(self.dataset)
        order = _generator(self.seed, epoch).permutation(count) if self.shuffle else np.arange(count)
        each = count // self.world_size if self.drop_last else math.ceil(count / self.world_size)
        order = np.resize(order, each * self.world_size) if count else order
        items: list[int] = order[self.rank :: self.world_size].tolist()
        return items


class BucketSampler(_EpochSampler):
    """Batches whose samples are all of one bucket: ``DataLoader(dataset, batch_sampler=BucketSampler(…))``.

    At every step all ranks have a batch of the same bucket, so that none waits for a larger picture.

    Args:
        dataset: with ``bucket_ids()`` (``ImageTextDataset``), or the bucket numbers themselves, −1 for rows
            that have none and are left out.
        batch_size: samples a batch, on each rank.
        shuffle: rows and batches, by seed and epoch.
        remainder: the rows of a bucket that do not fill a batch on every rank: "short": smaller batches (a
            row is given out twice only where a rank would have none); "fill": full batches, filled up with
            rows of the bucket a second time; "drop": left out, others in every epoch.
        seed, rank, world_size: as in ``ShuffleSampler``.

    Raises:
        OptionError: a value is out of its range, or no row has a bucket.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        shuffle: bool = True,
        remainder: Literal["short", "fill", "drop"] = "short",
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ):
        import numpy as np

        super().__init__(dataset, seed, rank, world_size)
        if batch_size < 1:
            raise OptionError(f"batch_size is {batch_size!r}; it takes a whole number from 1")
        if remainder not in ("short", "fill", "drop"):
            raise OptionError(f"remainder is {remainder!r}; it takes 'short', 'fill' or 'drop'")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.remainder = remainder
        self.bucket_ids = np.asarray(dataset.bucket_ids() if hasattr(dataset, "bucket_ids") else dataset)
        self._cached: tuple[int, list[list[int]]] | None = None
        if not (self.bucket_ids >= 0).any():
            raise OptionError(
                "no row has a bucket; use upscale=True, smaller buckets, or look at the failures"
            )

    def _items(self, epoch: int) -> Sequence[list[int]]:
        if self._cached is None or self._cached[0] != epoch:
            self._cached = (epoch, self._batches(epoch))
        return self._cached[1]

    def _batches(self, epoch: int) -> list[list[int]]:
        import numpy as np

        generator = _generator(self.seed, epoch)
        together = self.batch_size * self.world_size
        steps: list[Any] = []
        for bucket in np.unique(self.bucket_ids[self.bucket_ids >= 0]):
            rows = np.flatnonzero(self.bucket_ids == bucket)
            if self.shuffle:
                rows = generator.permutation(rows)
            whole = len(rows) // together * together
            steps.extend(rows[start : start + together] for start in range(0, whole, together))
            if whole < len(rows) and self.remainder != "drop":
                steps.append(self._completed(rows, whole, together))
        order = generator.permutation(len(steps)) if self.shuffle else range(len(steps))
        return [steps[number][self.rank :: self.world_size].tolist() for number in order]

    def _completed(self, rows: Any, whole: int, together: int) -> Any:
        """The last rows of a bucket, made as many as every rank needs by repeating rows of the bucket."""
        import numpy as np

        rest = rows[whole:]
        wanted = (
            together if self.remainder == "fill" else math.ceil(len(rest) / self.world_size) * self.world_size
        )
        again = np.resize(rows[:whole] if whole else rest, wanted - len(rest))
        return np.concatenate([rest, again])


def rank_and_world_size(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Rank and number of ranks: as given, as PyTorch's process group says, or alone.

    Raises:
        OptionError: only one of them is given, or they do not fit.
    """
    if (rank is None) != (world_size is None):
        raise OptionError("rank and world_size belong together; give both or none")
    if rank is None or world_size is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1
    if not 0 <= rank < world_size:
        raise OptionError(f"rank is {rank} of {world_size}; it takes 0 to {world_size - 1}")
    return rank, world_size


def _generator(seed: int, epoch: int) -> Any:
    import numpy as np

    return np.random.default_rng(number_of(seed, epoch))
