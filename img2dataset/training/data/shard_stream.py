"""What the streams of shards have in common: who reads which, in which order. Called by ``shards`` and
``tar_stream``.

Shards are divided among all workers of all ranks and each is read forwards; the order follows from the seed
and the epoch alone.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.training.batch.sampling import rank_and_world_size
from img2dataset.training.data.stored_sample import ImageKind, ReadSample, finished_sample
from img2dataset.training.load.batch_memory import StreamBlocks
from img2dataset.training.load.finishing import SampleTransforms
from img2dataset.training.randomness import Epoch, number_of
from img2dataset.training.requirements import require

torch = require("torch", "a dataset for PyTorch")


class StreamOfShards(torch.utils.data.IterableDataset, ABC):  # type: ignore[misc, name-defined]
    """Samples shard by shard; the arguments are those of ``ShardStream``."""

    def __init__(
        self,
        image: ImageKind,
        transforms: SampleTransforms,
        shuffle_shards: bool,
        shuffle_buffer: int,
        seed: int,
        rank: int | None,
        world_size: int | None,
    ):
        super().__init__()
        if shuffle_buffer < 0:
            raise OptionError(
                f"shuffle_buffer is {shuffle_buffer!r}; it takes a number of samples, 0 for none"
            )
        self.image = image
        self.transforms = transforms
        self.shuffle_shards = shuffle_shards
        self.shuffle_buffer = shuffle_buffer
        self.seed = seed
        self.rank, self.world_size = rank_and_world_size(rank, world_size)
        self._epoch = Epoch()

    @abstractmethod
    def _shard_names(self) -> Sequence[str]:
        """All shards, in their order."""

    @abstractmethod
    def _read(self, number: int, name: str) -> Iterator[ReadSample]:
        """The samples of one shard, the ``number``-th, in its order."""

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is, for the order and random choices; all workers see it."""
        self._epoch.set(epoch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = torch.utils.data.get_worker_info()
        workers, worker_id = (worker.num_workers, worker.id) if worker is not None else (1, 0)
        epoch = self._epoch.get()
        shards = list(enumerate(self._shard_names()))
        if self.shuffle_shards:
            random.Random(number_of(self.seed or 0, epoch)).shuffle(shards)
        mine = shards[self.rank * workers + worker_id :: self.world_size * workers]
        samples = (sample for number, name in mine for sample in self._read(number, name))
        # Only where each sample goes to collation at once: one that is kept, to be collated again, would
        # change with the batch that it was in.
        blocks = StreamBlocks() if worker is not None and worker.dataset is self else None
        for sample in self._shuffled(samples, epoch):
            with blocks.one_sample() if blocks is not None else nullcontext():
                finished = finished_sample(sample, self.image, self.transforms, self.seed, epoch)
            yield finished

    def _shuffled(self, samples: Iterator[ReadSample], epoch: int) -> Iterator[ReadSample]:
        generator = random.Random(number_of(self.seed or 0, epoch, self.rank, 1))
        held: list[ReadSample] = []
        for sample in samples:
            if len(held) < self.shuffle_buffer:
                held.append(sample)
                continue
            if held:
                place = generator.randrange(len(held))
                held[place], sample = sample, held[place]
            yield sample
        generator.shuffle(held)
        yield from held
