"""Samplers: which rows come next, on this rank, in this epoch. Given to a PyTorch ``DataLoader``.

Both shuffle by seed and epoch, give every rank the same number of samples or batches, tell the dataset which
epoch it is, and can go on in the middle of an epoch. An epoch that was gone through to its end is followed by
the next.

Hugging Face's accelerate divides what the sampler of a prepared ``DataLoader`` gives among the ranks. When it
asks, it is given what all ranks get; divided twice, most rows would never come.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from img2dataset.counted import counted
from img2dataset.errors import OptionError
from img2dataset.training.randomness import number_of
from img2dataset.training.representation import shown
from img2dataset.training.requirements import require

torch = require("torch", "a sampler for PyTorch")

_FRAMES_TO_ACCELERATE = 6


class _EpochSampler(torch.utils.data.Sampler):  # type: ignore[misc, name-defined]
    """What both samplers share: seed, epoch, rank and position."""

    def __init__(self, dataset: Any, seed: int, rank: int | None, world_size: int | None):
        self.dataset = dataset
        self.seed = seed
        self.rank, self.world_size = rank_and_world_size(rank, world_size)
        self.epoch = 0
        # Items of this rank: those to pass over at the next iteration, and those given out in the last one,
        # or, where accelerate divided them, of all ranks: then so many for each of this one.
        self._skipped = 0
        self._given = 0
        self._ranks_given = 1
        # Whether the epoch was given out to its end. Training may still be in it: workers take ahead.
        self._ended = False

    def __repr__(self) -> str:
        kinds = ("batch_size", "shuffle", "remainder", "drop_last", "seed", "epoch")
        values = {name: getattr(self, name) for name in kinds if hasattr(self, name)}
        rank = f"{self.rank} of {self.world_size}"
        return shown(self, f"{counted(self._count(self.epoch, False), 'step')} an epoch", rank=rank, **values)

    def set_epoch(self, epoch: int) -> None:
        """Begin epoch number ``epoch`` at the next iteration; where a state of it was loaded, go on there."""
        if epoch == self.epoch and self._skipped:
            return
        self.epoch, self._skipped, self._given, self._ended = epoch, 0, 0, False

    def state_dict(self, consumed: int | None = None) -> dict[str, int]:
        """The position.

        Args:
            consumed: items of this rank that training has used in this epoch, with accelerate too. A
                ``DataLoader`` with workers takes items ahead of their use, and so does a prepared one; so
                only the training loop knows. None: all that were given out.
        """
        if consumed is None and self._ended:
            return {"seed": self.seed, "epoch": self.epoch + 1, "consumed": 0}
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "consumed": self._given // self._ranks_given if consumed is None else consumed,
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
        self._given, self._ranks_given, self._ended = self._skipped, 1, False

    def _items(self, epoch: int, of_all_ranks: bool) -> Sequence[Any]:
        """This rank's items of an epoch, or those of all ranks, step by step."""
        raise NotImplementedError(f"{type(self).__name__} must say what it gives out")

    def _count(self, epoch: int, of_all_ranks: bool) -> int:
        """How many these are."""
        raise NotImplementedError(f"{type(self).__name__} must say how much it gives out")

    def __iter__(self) -> Iterator[Any]:
        if self._ended:
            self.epoch, self._given, self._ended = self.epoch + 1, 0, False
        tell_epoch(self.dataset, self.epoch)
        of_all_ranks = is_divided_by_accelerate()
        items = self._items(self.epoch, of_all_ranks)
        self._ranks_given = self._ranks(of_all_ranks)
        self._given, self._skipped = self._skipped * self._ranks_given, 0
        for item in items[self._given :]:
            self._given += 1
            yield item
        self._ended = True

    def __len__(self) -> int:
        of_all_ranks = is_divided_by_accelerate()
        skipped = self._skipped * self._ranks(of_all_ranks)
        return max(0, self._count(self.epoch, of_all_ranks) - skipped)

    def _ranks(self, of_all_ranks: bool) -> int:
        """How many ranks the items are of."""
        if not of_all_ranks:
            return 1
        # The sampler may have been made before the process group.
        return max(self.world_size, rank_and_world_size(None, None)[1])


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

    def _items(self, epoch: int, of_all_ranks: bool) -> Sequence[int]:
        import numpy as np

        count = len(self.dataset)
        order = _generator(self.seed, epoch).permutation(count) if self.shuffle else np.arange(count)
        if not of_all_ranks:
            order = np.resize(order, self._each * self.world_size) if count else order
            order = order[self.rank :: self.world_size]
        items: list[int] = order.tolist()
        return items

    @property
    def _each(self) -> int:
        count = len(self.dataset)
        return count // self.world_size if self.drop_last else math.ceil(count / self.world_size)

    def _count(self, epoch: int, of_all_ranks: bool) -> int:
        return len(self.dataset) if of_all_ranks else self._each


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
        if not isinstance(batch_size, int) or batch_size < 1:
            raise OptionError(f"batch_size is {batch_size!r}; it takes a whole number from 1")
        if remainder not in ("short", "fill", "drop"):
            raise OptionError(f"remainder is {remainder!r}; it takes 'short', 'fill' or 'drop'")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.remainder = remainder
        self.bucket_ids = np.asarray(dataset.bucket_ids() if hasattr(dataset, "bucket_ids") else dataset)
        self._cached: tuple[int, list[Any]] | None = None
        if not (self.bucket_ids >= 0).any():
            raise OptionError(
                "no row has a bucket; use upscale=True, smaller buckets, or look at the failures"
            )

    def _items(self, epoch: int, of_all_ranks: bool) -> Sequence[list[int]]:
        if of_all_ranks and self.world_size > 1 and self.remainder == "short":
            raise OptionError(
                "accelerate leaves out batches that are smaller than the others: give the BucketSampler"
                " remainder='fill' or 'drop', or leave its DataLoader out of accelerator.prepare, since the"
                " sampler divides its batches among the ranks by itself"
            )
        ranks = range(self.world_size) if of_all_ranks else [self.rank]
        steps = self._steps(epoch)
        return [step[rank :: self.world_size].tolist() for step in steps for rank in ranks]

    def _count(self, epoch: int, of_all_ranks: bool) -> int:
        import numpy as np

        together = self.batch_size * self.world_size
        rows = np.bincount(self.bucket_ids[self.bucket_ids >= 0])
        steps = rows // together if self.remainder == "drop" else -(-rows // together)
        return int(steps.sum()) * (self.world_size if of_all_ranks else 1)

    def _steps(self, epoch: int) -> list[Any]:
        """The rows of all ranks' batches, step by step; each step is of one bucket."""
        if self._cached is None or self._cached[0] != epoch:
            self._cached = (epoch, self._shuffled_steps(epoch))
        return self._cached[1]

    def _shuffled_steps(self, epoch: int) -> list[Any]:
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
        return [steps[number] for number in order]

    def _completed(self, rows: Any, whole: int, together: int) -> Any:
        """The last rows of a bucket, made as many as every rank needs by repeating rows of the bucket."""
        import numpy as np

        rest = rows[whole:]
        wanted = (
            together if self.remainder == "fill" else math.ceil(len(rest) / self.world_size) * self.world_size
        )
        again = np.resize(rows[:whole] if whole else rest, wanted - len(rest))
        return np.concatenate([rest, again])


def tell_epoch(dataset: Any, epoch: int) -> None:
    """Tell a dataset which epoch it is, and those that it is a part or a concatenation of."""
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(epoch)
        return
    for inner in (*getattr(dataset, "datasets", ()), getattr(dataset, "dataset", None)):
        if isinstance(inner, torch.utils.data.Dataset):
            tell_epoch(inner, epoch)


def is_divided_by_accelerate() -> bool:
    """Whether what is asked for now is asked for by accelerate, which divides it among the ranks itself."""
    # It asks by a class of its own, through PyTorch's batch sampler at most.
    frame = sys._getframe(1)
    for _ in range(_FRAMES_TO_ACCELERATE):
        if frame.f_globals.get("__name__") == "accelerate.data_loader":
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


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
