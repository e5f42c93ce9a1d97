"""Room for the images of a batch in one block, so that collating them copies nothing.

A ``DataLoader`` with workers wants a batch in shared memory. Images that are made each by itself and stacked
there are written twice, into fresh memory both times: half of what a finished 256-pixel image costs.
``images`` asks for room, the datasets say that a batch begins, ``collation`` takes the block as it is. A
stream is not told where a batch begins: for it, one is as long as the last that ``collation`` took from it.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_of_thread = threading.local()
# Which tensors lie in a block, by ``id``, while they live. An attribute would be saved with its tensor.
_places: dict[int, tuple[weakref.ref[torch.Tensor], _Block, int]] = {}


class _BatchLength:
    """How many samples of a stream ``collation`` takes together, as far as it has been seen."""

    def __init__(self) -> None:
        self.samples = 1
        self.has_batch_ended = False

    def were_taken(self, numbers: Sequence[int]) -> None:
        """So many samples make a batch, given by their numbers in the stream; none if it has others too."""
        are_beside = bool(numbers) and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))
        self.samples = len(numbers) if are_beside else 1
        self.has_batch_ended = True


class _Block:
    """Float32 tensors of one shape, one after the other, ``count`` at most.

    Args:
        count: how many.
        length: what the stream knows of its batches; None: a dataset's, which knew the batch.
        first: the number of the first of them in its stream.
    """

    def __init__(self, count: int, length: _BatchLength | None = None, first: int = 0) -> None:
        self._count, self._taken = count, 0
        self._handed_over: set[int] = set()
        self._memory: torch.Tensor | None = None
        self.length = length
        self.first = first

    def take(self, shape: tuple[int, ...]) -> torch.Tensor | None:
        """The next one; None if its shape is another, or there is no more."""
        if self._memory is None:
            self._memory = _memory((self._count, *shape))
        if self.is_full or self._memory.shape[1:] != shape:
            return None
        tensor = self._memory[self._taken]
        _note(tensor, self, self._taken)
        self._taken += 1
        return tensor

    @property
    def end(self) -> int:
        """The number of the next in its stream."""
        return self.first + self._taken

    @property
    def is_full(self) -> bool:
        """Whether no more can be taken."""
        return self._taken == self._count

    def holds(self, tensor: torch.Tensor, place: int) -> bool:
        """Whether a tensor is still the one taken there: ``unsqueeze_`` or setting ``data`` makes another."""
        assert self._memory is not None
        own = self._memory[place]
        return (
            tensor.data_ptr() == own.data_ptr()
            and tensor.dtype == own.dtype
            and tensor.shape == own.shape
            and tensor.stride() == own.stride()
            and not tensor.requires_grad
        )

    def hand_over(self, first: int, count: int) -> torch.Tensor | None:
        """So many of them, as one tensor; None if another batch has one of them already."""
        places = range(first, first + count)
        if not self._handed_over.isdisjoint(places):
            return None
        self._handed_over.update(places)
        assert self._memory is not None
        return self._memory[first : first + count]


class StreamBlocks:
    """The blocks of a stream's samples, for one way through it in a worker that hands each to ``collation``.

    The first batch is stacked as ever, and tells how long the next is. Where samples are taken in another
    order than they were made in, or some left out, there are no blocks: one sample would keep all its block.
    """

    def __init__(self) -> None:
        self._length = _BatchLength()
        self._block = _Block(1, self._length)

    def one_sample(self) -> contextlib.AbstractContextManager[None]:
        """While one sample is made in this thread, ``room`` gives the next tensor of the block."""
        if self._block.is_full or self._length.has_batch_ended:
            self._length.has_batch_ended = False
            self._block = _Block(self._length.samples, self._length, self._block.end)
        return _giving_places_of(self._block)


def one_block(count: int) -> contextlib.AbstractContextManager[None]:
    """Have ``room`` give places in one block of ``count``, in this thread."""
    return _giving_places_of(_Block(count) if count > 1 else None)


@contextlib.contextmanager
def _giving_places_of(block: _Block | None) -> Iterator[None]:
    before = getattr(_of_thread, "block", None)
    _of_thread.block = block
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
    """Tensors of ``room`` that lie one after the other, as one; None for all others.

    None for a single one, too, whose copy costs little: whoever collates one sample often keeps it.
    """
    places = [_place(tensor) for tensor in tensors]
    streams = {block.length if block is not None else None for block, _ in places}
    for length in streams:
        if length is not None:
            numbers = [block.first + place for block, place in places] if len(streams) == 1 else []
            length.were_taken(numbers)
    if len(places) < 2:
        return None
    block, first = places[0]
    if block is None or places != [(block, first + number) for number in range(len(places))]:
        return None
    whole: torch.Tensor | None = block.hand_over(first, len(places))
    return whole


def _note(tensor: torch.Tensor, block: _Block, place: int) -> None:
    number = id(tensor)
    reference = weakref.ref(tensor, lambda _: _places.pop(number, None))
    _places[number] = (reference, block, place)


def _place(tensor: Any) -> tuple[Any, int]:
    """The block of a tensor and its place there; (None, 0) for a tensor that lies in none."""
    reference, block, place = _places.get(id(tensor), (None, None, 0))
    if reference is None or block is None or reference() is not tensor or not block.holds(tensor, place):
        return None, 0
    return block, place


def _memory(shape: tuple[int, ...]) -> torch.Tensor:
    """Room in shared memory in a worker, where a batch is handed over; else in this process."""
    import torch

    # A single one is stacked with others, or is the whole of a small batch.
    if shape[0] == 1 or torch.utils.data.get_worker_info() is None:
        return torch.empty(shape)
    storage = torch.UntypedStorage._new_shared(4 * math.prod(shape))
    return torch.empty(0, dtype=torch.float32).set_(storage, 0, shape)
