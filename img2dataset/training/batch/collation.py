"""Samples in, one batch out: images stacked, tokens padded with masks, the rest kept as lists.

``collate`` is given to a ``DataLoader`` as ``collate_fn``; ``Collate(…)`` is the same with settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.training.load.batch_memory import as_one
from img2dataset.training.representation import shown


class EmptyBatch(Img2datasetError):
    """Every sample of a batch was skipped."""

    @classmethod
    def of(cls, count: int, reason: str | None = None) -> EmptyBatch:
        """For a batch of ``count`` samples, the last of which was skipped for ``reason``."""
        told = f": {reason}" if reason else " (the log says why)"
        return cls(
            f"all {counted(count, 'sample')} of a batch failed to load{told};"
            " use a larger batch, or on_error='replace'"
        )


class Collate:
    """Joins samples (dictionaries) into a batch (a dictionary).

    By the kind of the values under a key:

    - images, ``PIL.Image.Image`` or uint8 arrays of shape (height, width, 3): a tensor of shape
      (batch, 3, height, width), uint8;
    - tensors and numeric arrays of equal shapes: stacked. Of unequal shapes: padded at the end of every axis,
      beside ``KEY_mask`` of shape (batch, axis lengths that differ …), bool, True where there is a value;
    - lists of whole numbers (tokens): a tensor of shape (batch, longest), int64, beside ``KEY_mask``;
    - dictionaries under ``tokens_key``: each of theirs likewise;
    - numbers and booleans: a tensor of shape (batch,);
    - everything else (captions, metadata, keys): a list of length batch.

    Samples that are None were skipped and are left out.

    Args:
        pad_id: what tokens are padded with; by name, for several tokenizers; None: what their tokenizer says,
            else 0.
        pad_images: pad images of different sizes at the right and bottom, with ``img_mask`` of shape
            (batch, height, width), bool; otherwise they are an error.
        tokens_key, image_key: where tokens and images are.

    Raises:
        EmptyBatch: no sample is left.
        OptionError: images of different sizes without ``pad_images``.
    """

    def __init__(
        self,
        *,
        pad_id: int | Mapping[str, int] | None = None,
        pad_images: bool = False,
        tokens_key: str = "tokens",
        image_key: str = "img",
    ):
        self.pad_id = pad_id
        self.pad_images = pad_images
        self.tokens_key = tokens_key
        self.image_key = image_key

    def __repr__(self) -> str:
        return shown(self, pad_id=self.pad_id, pad_images=self.pad_images)

    def __call__(self, samples: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
        """The batch of ``samples``."""
        kept = [sample for sample in samples if sample is not None]
        if not kept:
            raise EmptyBatch.of(len(samples))
        batch: dict[str, Any] = {}
        for key in dict.fromkeys(key for sample in kept for key in sample):
            self._join(batch, key, [sample.get(key) for sample in kept])
        return batch

    def _join(self, batch: dict[str, Any], key: str, values: list[Any]) -> None:
        if key == self.tokens_key and all(isinstance(value, Mapping) for value in values):
            batch[key] = {}
            for name in values[0]:
                _join_tokens(batch[key], name, [value[name] for value in values], self._pad_id_of(name))
        elif key == self.tokens_key and all(_is_numeric(value) for value in values):
            _join_tokens(batch, key, values, self._pad_id_of(key))
        elif all(_is_picture(value) for value in values):
            self._join_images(batch, key, [_picture_tensor(value) for value in values])
        elif key == self.image_key and all(_is_tensor(value) for value in values):
            self._join_images(batch, key, values)
        elif all(_is_tensor(value) or _is_array(value) for value in values):
            _join_tensors(batch, key, [_as_tensor(value) for value in values], 0)
        elif all(isinstance(value, (bool, int, float)) for value in values):
            import torch

            batch[key] = torch.tensor(values)
        else:
            batch[key] = values

    def _pad_id_of(self, name: str) -> int | None:
        return self.pad_id.get(name) if isinstance(self.pad_id, Mapping) else self.pad_id

    def _join_images(self, batch: dict[str, Any], key: str, tensors: list[Any]) -> None:
        shapes = sorted({tuple(tensor.shape) for tensor in tensors})
        if len(shapes) > 1 and not self.pad_images:
            raise OptionError(
                f"images of shapes {shapes[:3]} cannot be stacked under {key!r}: resize and crop them"
                " to one size, batch them by aspect ratio (BucketSampler), or use Collate(pad_images=True)"
            )
        _join_tensors(batch, key, tensors, 0)
        if f"{key}_mask" in batch:
            batch[f"{key}_mask"] = batch[f"{key}_mask"][:, 0]
        elif self.pad_images:
            import torch

            batch[f"{key}_mask"] = torch.ones((len(tensors), *tensors[0].shape[-2:]), dtype=torch.bool)


collate = Collate()


def _join_tokens(batch: dict[str, Any], key: str, values: list[Any], padding: int | None) -> None:
    import torch

    if padding is None:
        told = (getattr(value, "pad_id", None) for value in values)
        padding = next((pad_id for pad_id in told if pad_id is not None), 0)
    tensors = [_as_tensor(value) for value in values]
    _join_tensors(batch, key, tensors, padding)
    if f"{key}_mask" not in batch:
        batch[f"{key}_mask"] = torch.ones_like(batch[key], dtype=torch.bool)


def _join_tensors(batch: dict[str, Any], key: str, tensors: list[Any], padding: int) -> None:
    import torch

    whole = as_one(tensors)
    if whole is not None:
        batch[key] = whole
        return
    if all(tensor.shape == tensors[0].shape for tensor in tensors):
        # In a worker process it stacks in shared memory at once: 25 MB of floats a batch not copied again.
        batch[key] = torch.utils.data.default_collate(tensors)
        return
    if len({tensor.dim() for tensor in tensors}) > 1:
        batch[key] = tensors
        return
    longest = [max(lengths) for lengths in zip(*(tensor.shape for tensor in tensors), strict=True)]
    joined = torch.full((len(tensors), *longest), padding, dtype=tensors[0].dtype)
    mask = torch.zeros((len(tensors), *longest), dtype=torch.bool)
    for number, tensor in enumerate(tensors):
        region = (number, *(slice(0, length) for length in tensor.shape))
        joined[region] = tensor
        mask[region] = True
    batch[key], batch[f"{key}_mask"] = joined, mask


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array_interface__") and hasattr(value, "dtype") and value.dtype.kind in "biuf"


def _is_picture(value: Any) -> bool:
    if hasattr(value, "convert") and hasattr(value, "getbands"):
        return True
    return _is_array(value) and value.ndim == 3 and value.shape[2] in (3, 4) and value.dtype.kind == "u"


def _is_numeric(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(one, int) for one in value)
    return _is_tensor(value) or _is_array(value)


def _picture_tensor(value: Any) -> Any:
    import numpy as np
    import torch

    pixels = np.array(value)  # a copy: what a tensor stands on must be writable
    return torch.from_numpy(
        np.ascontiguousarray((pixels[:, :, None] if pixels.ndim == 2 else pixels).transpose(2, 0, 1))
    )


def _as_tensor(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (list, tuple)):
        return torch.tensor(value, dtype=torch.int64)
    return torch.from_numpy(value.copy())
