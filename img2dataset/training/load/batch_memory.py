"""Room for the images of a batch in one block, so that collating them copies nothing.

A ``DataLoader`` with workers wants a batch in shared memory. Images that are made each by itself and stacked
there are written twice, into fresh memory both times: half of what a finished 256-pixel image costs.
``images`` asks for room, the datasets say that a batch begins, ``collation`` takes the block as it is.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_of_thread = threading.local()
# What tells that a tensor lies in a block, and stays with that tensor alone.
_MARK = "_img2dataset_block"


class _Block:
    """Float32 tensors of one shape, one after the other, ``count`` at most."""

    def __init__(self, count: int) -> None:
        self._count, self._taken = count, 0
        self._memory: torch.Tensor | None = None

    def take(self, shape: tuple[int, ...]) -> torch.Tensor | None:
        """The next one; None if its shape is another, or there is no more."""
        if self._memory is None:
            self._memory = _memory((self._count, *shape))
        if self._taken == self._count or self._memory.shape[1:] != shape:
            return None
        tensor = self._memory[self._taken]
        setattr(tensor, _MARK, (self, self._taken))
        self._taken += 1
        return tensor

    def of(self, first: int, count: int) -> torch.Tensor:
        """So many of them, as one tensor."""
        assert self._memory is not None
        return self._memory[first : first + count]


@contextlib.contextmanager
def one_block(count: int) -> Iterator[None]:
    """Have ``room`` give places in one block of ``count``, in this thread."""
    before = getattr(_of_thread, "block", None)
    _of_thread.block = _Block(count) if count > 1 else None
    try:
        yield
    finally:
        _of_thread.block = before


def room(shape: tuple[int, ...]) -> torch.Tensor:
    """A float32 tensor that is to be filled."""
    import torch

    block = getattr(_of_thread, "block", None)
    tensor: torch.Tensor | None = block.take(shape) if block is not None else None
    return torch.empty(shape) if tensor is None else tensor


def as_one(tensors: Sequence[Any]) -> torch.Tensor | None:
    """Tensors of ``room`` that lie one after the other, as one; None for all others."""
    places = [getattr(tensor, _MARK, None) for tensor in tensors]
    if not places or places[0] is None:
        return None
    block, first = places[0]
    if places != [(block, first + number) for number in range(len(places))]:
        return None
    whole: torch.Tensor = block.of(first, len(places))
    return whole


def _memory(shape: tuple[int, ...]) -> torch.Tensor:
    """Room in shared memory in a worker, where a batch is handed over; else in this process."""
    import torch

    if torch.utils.data.get_worker_info() is None:
        return torch.empty(shape)
    storage = torch.UntypedStorage._new_shared(4 * math.prod(shape))
    return torch.empty(0, dtype=torch.float32).set_(storage, 0, shape)
