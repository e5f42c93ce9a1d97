"""Where randomness comes from: a seed, an epoch and a sample's number give the same numbers in every worker.

Called by the datasets and samplers. Without a seed, PyTorch's generator decides, which ``DataLoader`` seeds
anew for each worker and epoch.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any


def generator_of(seed: int | None, epoch: int, index: int) -> random.Random:
    """The generator of one visit of one sample."""
    if seed is None:
        import torch

        return random.Random(int(torch.randint(0, 2**62, ()).item()))
    return random.Random(number_of(seed, epoch, index))


def number_of(*parts: int) -> int:
    """A number of 63 bits drawn from whole numbers; close ones give unrelated numbers."""
    text = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


class Epoch:
    """An epoch number that all workers of a dataset see, also those that live on from epoch to epoch."""

    def __init__(self) -> None:
        import torch

        # In shared memory: a worker process that was started earlier reads what is set later.
        self._value: Any = torch.zeros((), dtype=torch.int64).share_memory_()

    def get(self) -> int:
        return int(self._value.item())

    def set(self, epoch: int) -> None:
        self._value.fill_(epoch)
