"""A small dataset kept whole on one device: samples are loaded once, batches are taken from tensors there.

For sets that fit in a GPU's memory, where making batches on the host is all that the GPU waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from img2dataset.counted import counted
from img2dataset.errors import OptionError
from img2dataset.training.batch.collation import Collate, EmptyBatch
from img2dataset.training.batch.numbered import Numbered
from img2dataset.training.batch.sampling import ShuffleSampler
from img2dataset.training.representation import shown
from img2dataset.training.requirements import require

torch = require("torch", "a dataset on a device")

SAMPLES_AT_ONCE = 64


class DeviceDataset(torch.utils.data.IterableDataset):  # type: ignore[misc, name-defined]
    """The batches of a dataset, all of which lies on a device. Iterated directly, without a ``DataLoader``.

        for batch in DeviceDataset(dataset, "cuda", batch_size=64, seed=0):
            train(batch)

    Args:
        dataset: map-style, of samples that are dictionaries (``ImageTextDataset``, ``FeatureDataset`` …).
            Every sample is loaded once, here; what is random in its transforms stays as it fell.
        device: as PyTorch names it.
        batch_size: samples a batch, on each rank.
        shuffle, seed: as in ``ShuffleSampler``; each epoch has an order of its own.
        drop_last: leave out the last batch of an epoch if it is smaller.
        batch_sampler: in place of these four: gives the row numbers of each batch, such as a
            ``BucketSampler``.
        transform: called with each batch, on the device: for what is to be random anew in each epoch.
        collate: as of a ``DataLoader``; None: ``Collate()``. Texts of one shape of images are padded to the
            longest of all.
        num_workers: processes that load the samples.
        rank, world_size: as in ``ShuffleSampler``. Each rank has all samples.

    No tensor is copied from the host for a batch but the numbers of its rows. Rows that fail with
    ``on_error="skip"`` are in no batch.

    Raises:
        OptionError: images of different sizes without a ``batch_sampler``, a device that is not there,
            samples of another kind, or values that do not go together.
        EmptyBatch: not one sample could be loaded.
    """

    def __init__(
        self,
        dataset: Any,
        device: Any,
        *,
        batch_size: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        collate: Callable[[Sequence[Any]], dict[str, Any]] | None = None,
        num_workers: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ):
        super().__init__()
        if (batch_size is None) == (batch_sampler is None):
            raise OptionError("batch_size and batch_sampler are both given or both missing; give one of them")
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise OptionError(f"batch_size is {batch_size!r}; it takes a whole number from 1")
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise OptionError(
                f"the dataset is a {type(dataset).__name__}, which has no samples by number; give one that"
                " has, such as an ImageTextDataset"
            )
        self.device = _usable(device)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.batch_sampler = batch_sampler
        self.transform = transform
        # Samples by the shape of their image: only those of one shape can be in one batch.
        self._groups: list[dict[str, Any]] = []
        # Where the sample of a row is: its group, and the number it has there.
        self._places: dict[int, tuple[int, int]] = {}
        self._keep(_samples(dataset, num_workers), collate or Collate())
        if len(self._groups) > 1 and batch_sampler is None:
            raise OptionError(
                f"the images have {len(self._groups)} different sizes and cannot all be in one batch:"
                " resize and crop them to one size, or give batch_sampler=BucketSampler(…)"
            )
        self._numbers = sorted(self._places)
        self._sampler = ShuffleSampler(
            self._numbers, shuffle=shuffle, seed=seed, rank=rank, world_size=world_size
        )

    def __len__(self) -> int:
        """How many batches an epoch has, on this rank."""
        if self.batch_size is None:
            count: int = len(self.batch_sampler)  # type: ignore[arg-type]
            return count
        rows = len(self._sampler)
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        for numbers in self._batches():
            batch = self._batch([int(number) for number in numbers])
            if batch is not None:
                yield batch if self.transform is None else self.transform(batch)

    def __repr__(self) -> str:
        size = f"{self.size_in_bytes / 1e6:,.1f} MB"
        rows = f"{counted(len(self._places), 'row')}, {size} on {self.device}"
        return shown(self, rows, batch_size=self.batch_size, transform=self.transform)

    def set_epoch(self, epoch: int) -> None:
        """Begin epoch number ``epoch`` at the next iteration. Without it, each is followed by the next."""
        sampler: Any = self._sampler if self.batch_sampler is None else self.batch_sampler
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)

    @property
    def size_in_bytes(self) -> int:
        """What the tensors take on the device."""
        return sum(
            tensor.numel() * tensor.element_size() for group in self._groups for tensor in _tensors(group)
        )

    def _keep(self, samples: Iterable[tuple[int, Any]], collate: Callable[[Sequence[Any]], Any]) -> None:
        by_shape: dict[Any, list[tuple[int, Any]]] = {}
        for number, sample in samples:
            if not isinstance(sample, Mapping):
                raise OptionError(
                    f"sample {number} of the dataset is a {type(sample).__name__}; a DeviceDataset takes"
                    " samples that are dictionaries, so that model_transform is not to change that"
                )
            by_shape.setdefault(_shape(sample.get("img")), []).append((number, sample))
        if not by_shape:
            raise EmptyBatch("not one sample of the dataset could be loaded (the log says why)")
        for members in by_shape.values():
            for place, (number, _) in enumerate(members):
                self._places[number] = (len(self._groups), place)
            self._groups.append(_moved(collate([sample for _, sample in members]), self.device))

    def _batches(self) -> Iterator[Sequence[int]]:
        if self.batch_sampler is not None:
            yield from self.batch_sampler
            return
        assert self.batch_size is not None
        batch: list[int] = []
        for position in self._sampler:
            batch.append(self._numbers[position])
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def _batch(self, numbers: list[int]) -> dict[str, Any] | None:
        places = [self._places[number] for number in numbers if number in self._places]
        if not places:
            return None
        if len({group for group, _ in places}) > 1:
            raise OptionError(
                f"a batch of the batch_sampler has images of different sizes (rows {numbers[:8]}); give a"
                " BucketSampler of the same dataset"
            )
        rows = [place for _, place in places]
        taken: dict[str, Any] = _taken(
            self._groups[places[0][0]], rows, torch.tensor(rows, device=self.device)
        )
        return taken


def _samples(dataset: Any, num_workers: int) -> Iterator[tuple[int, Any]]:
    loader = torch.utils.data.DataLoader(
        Numbered(dataset), SAMPLES_AT_ONCE, num_workers=num_workers, collate_fn=list
    )
    for several in loader:
        yield from several


def _usable(device: Any) -> Any:
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OptionError(f"device is {device!r}, which cannot be used here ({reason})") from None
    return found


def _shape(image: Any) -> Any:
    if hasattr(image, "shape"):
        return tuple(image.shape)
    return getattr(image, "size", None)


def _moved(value: Any, device: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: _moved(each, device) for name, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, device) for each in value]
    return value


def _taken(value: Any, rows: list[int], on_device: Any) -> Any:
    """Of what is of all samples, that of some rows."""
    if isinstance(value, torch.Tensor):
        return value.index_select(0, on_device)
    if isinstance(value, Mapping):
        return {name: _taken(each, rows, on_device) for name, each in value.items()}
    return [value[row] for row in rows]


def _tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, list):
        for each in value:
            yield from _tensors(each)
