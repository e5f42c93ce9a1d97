"""A map-style dataset of images and captions: a list comes in, samples (dictionaries) go out by number.

For a PyTorch ``DataLoader``, which asks for a whole batch at once (``__getitems__``), so that its downloads
are on their way at the same time. Rows come from ``lists``, pictures from ``loading``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from img2dataset.counted import counted
from img2dataset.errors import OptionError
from img2dataset.failures import TOO_SMALL_FOR_BUCKETS
from img2dataset.training.batch.buckets import NO_BUCKET, Buckets
from img2dataset.training.batch.collation import EmptyBatch
from img2dataset.training.data.columns import chosen_columns
from img2dataset.training.data.conversations import with_captions
from img2dataset.training.data.failure_log import FailureLog
from img2dataset.training.data.lists import open_list
from img2dataset.training.data.loaders import LoaderLike, loader_of
from img2dataset.training.data.model_transform import sample_transform_of
from img2dataset.training.data.picture_memory import PictureMemory
from img2dataset.training.data.row_lists import RowList
from img2dataset.training.data.sizes import image_sizes
from img2dataset.training.load.batch_memory import one_block
from img2dataset.training.load.captions import chosen_captions
from img2dataset.training.load.finishing import (
    CaptionTransformLike,
    ImageTransformLike,
    SampleTransforms,
    TokenizerLike,
)
from img2dataset.training.load.images import ImageTransform
from img2dataset.training.load.sources import ImageLoadError, flat
from img2dataset.training.randomness import Epoch, generator_of, number_of
from img2dataset.training.representation import shown, shown_source
from img2dataset.training.requirements import require

if TYPE_CHECKING:
    from img2dataset.training.load.cache import ImageCache

torch = require("torch", "a dataset for PyTorch")
logger = logging.getLogger("img2dataset")

REPLACEMENTS_TRIED = 16


class ImageTextDataset(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """Images with captions from any list, ready for training.

    Args:
        path: a csv, tsv, json, jsonl or parquet file, an LMDB database, a folder of images with caption
            files, a Hugging Face dataset (also saved to disk, or cloned), a sequence of dictionaries, an
            Arrow table, or a data frame. COCO's captions and LLaVA's conversations are known.
        format: an ``input_format`` of downloads, "lmdb", "folder" or "huggingface"; None: told from ``path``.
        column_map: which columns are meant: ``{"image": "url", "caption": "text"}``. Without it, the usual
            names are tried. Also ``width`` and ``height``, pixels, which spare buckets from opening images.
        base_path: folder of relative paths; None: the list's own. URLs are never joined to it. Like
            ``cache``, short for the loader's.
        captions: of several captions in a row: a "random" one each epoch, the "first", or "all" (a list).
        img_transform: keyword arguments of ``ImageTransform`` (``{"resize": [256, 256], …}``), or any
            callable of a ``PIL.Image.Image`` (torchvision's transforms); None: the picture as it is.
        caption_transform: keyword arguments of ``CaptionTransforms`` (``{"drop": 0.05, …}``), a
            ``CaptionTransform``, or any callable of a caption.
        tokenizer: of transformers, tokenizers, torchtune (anything with ``encode``), or a callable of the
            caption; its answer is ``tokens``. ``CaptionTokenizer`` cuts, and joins several.
        model_transform: called with the finished sample, and what it returns is the sample; or with
            ``(img, text)`` if it takes two arguments: a pair that it returns takes their places.
        buckets: pictures are resized and cropped to their aspect-ratio bucket, before ``img_transform``.
        on_error: what a sample that cannot be loaded does: "raise"; "skip": it is missing in its batch;
            "replace": another sample (of the same bucket) stands in. The cause is logged once.
        memory_cache: that many decoded pictures are kept, in each worker.
        cache: folder, or ``ImageCache``, for downloaded images; shared by workers, ranks and epochs.
        seed: a whole number: random choices depend on it, the epoch (``set_epoch``) and the row alone, the
            same for any number of workers. None: they vary as PyTorch's generator does.
        images_alike: the images of one row get the same flip, crop and other random choices, as pairs for
            editing and layers need it; False: each its own.
        loader: arguments of ``ImageLoader`` (``{"timeout_s": 5, "retries": 0, "mode": "RGBA"}``), or an
            ``ImageLoader`` of your own, which has its own ``base_path`` and ``cache``.
        split: of a dataset that is divided into splits; None: the only one, else "train".
        column_names: names of the columns of a csv or tsv without a header; None: told from its first line.
        folder_repeats: True: the images in a folder ``10_dog`` are ten rows each, and ``dog`` is the caption
            of those without one, as in kohya's trainers; None: they are not, and that is said.

    A sample is a dictionary: ``img`` (what the transform returns; a list if the row has a list of images),
    ``caption`` (a string, or a list for "all"), ``tokens`` if there is a tokenizer, ``index`` (the row), and
    ``metadata`` (the row's other columns). With buckets also ``original_size``, ``crop_top_left`` and
    ``target_size``, each (vertical, horizontal) in pixels: SDXL's conditioning.

    ``failures`` has the rows that were left out, and why, those of a ``DataLoader``'s workers too.

    Raises:
        OptionError: a value is not one of those it takes.
        InputError: the list cannot be read, or has no column of images.
    """

    def __init__(
        self,
        path: Any,
        *,
        format: str | None = None,
        column_map: Mapping[str, str] | None = None,
        base_path: str | os.PathLike[str] | None = None,
        captions: Literal["random", "first", "all"] = "random",
        img_transform: ImageTransformLike = None,
        caption_transform: CaptionTransformLike = None,
        tokenizer: TokenizerLike = None,
        model_transform: Callable[..., Any] | None = None,
        buckets: Buckets | Mapping[str, Any] | None = None,
        on_error: Literal["raise", "skip", "replace"] = "raise",
        memory_cache: int = 0,
        cache: str | os.PathLike[str] | ImageCache | None = None,
        seed: int | None = None,
        images_alike: bool = True,
        loader: LoaderLike = None,
        split: str | None = None,
        column_names: Sequence[str] | None = None,
        folder_repeats: bool | None = None,
    ):
        for name, value, allowed in (
            ("captions", captions, ("random", "first", "all")),
            ("on_error", on_error, ("raise", "skip", "replace")),
        ):
            if value not in allowed:
                raise OptionError(f"{name} is {value!r}; it takes {', '.join(map(repr, allowed))}")
        if memory_cache < 0:
            raise OptionError(f"memory_cache is {memory_cache!r}; it takes a number of images, 0 for none")
        self.rows: RowList = with_captions(
            open_list(path, format, split, column_names=column_names, folder_repeats=folder_repeats)
        )
        self._source = shown_source(path)
        self.columns = chosen_columns(self.rows.columns, column_map)
        self.loader = loader_of(loader, path, base_path, cache)
        self.captions = captions
        self.transforms = SampleTransforms(img_transform, caption_transform, tokenizer, seed is not None)
        self.model_transform = model_transform
        self._finish = None if model_transform is None else sample_transform_of(model_transform)
        self.buckets = Buckets(**buckets) if isinstance(buckets, Mapping) else buckets
        transform = self.transforms.img_transform
        shapes = isinstance(transform, ImageTransform) and (transform.resize or transform.crop)
        if self.buckets is not None and shapes:
            raise OptionError(
                "with buckets, img_transform must not resize or crop: the bucket gives the size"
            )
        self.on_error = on_error
        self.seed = seed
        self.images_alike = images_alike
        self._failures = FailureLog()
        self._epoch = Epoch()
        self._bucket_ids: Any = None
        self._memory = PictureMemory(memory_cache)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return shown(
            self,
            f"{counted(len(self), 'row')} of {self._source}",
            columns=self.columns,
            captions=self.captions,
            img_transform=self.transforms.img_transform,
            caption_transform=self.transforms.caption_transform,
            tokenizer=self.transforms.tokenizer,
            model_transform=self.model_transform,
            buckets=self.buckets,
            on_error=self.on_error,
            seed=self.seed,
            loader=self.loader,
        )

    def __getitem__(self, index: int) -> Any:
        """The sample of row ``index``; None if it failed and ``on_error`` is "skip"."""
        return self._samples([range(len(self))[index]])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples of several rows, without those that were skipped; all downloads run at once."""
        samples = [sample for sample in self._samples(indices) if sample is not None]
        if not samples:
            raise EmptyBatch.of(len(indices), self.failures.get(indices[-1]))
        return samples

    def load_batch(self, indices: Sequence[int]) -> Callable[[], list[Any]]:
        """Load the images of several rows; what is returned makes the samples of them, None if skipped.

        In two steps, so that the datasets of a ``ConcatDataset`` load at the same time.
        """
        rows = [self.rows.row(index) for index in indices]
        loaded = map(iter, self._loaded(rows))

        def samples() -> list[Any]:
            with one_block(len(rows)):
                return [self._sample_or_other(*one) for one in zip(indices, rows, loaded, strict=True)]

        return samples

    @property
    def failures(self) -> dict[int, str]:
        """The rows that were left out so far, with "skip" and "replace", and why; those of workers too."""
        return self._failures.all()

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is; all workers see it, also persistent ones."""
        self._epoch.set(epoch)

    def bucket_ids(self) -> Any:
        """The bucket of each row, int32 of shape (rows,), −1 for none.

        Sizes come from the columns ``width`` and ``height`` if the list has them, otherwise from the headers
        of the images, which are downloaded into the cache if need be; what cannot be loaded has no bucket.
        Computed once, best before the ``DataLoader`` starts its workers.

        Raises:
            OptionError: the dataset has no buckets.
        """
        if self.buckets is None:
            raise OptionError("the dataset has no buckets; give buckets=Buckets(…)")
        if self._bucket_ids is None:
            widths, heights = image_sizes(self.rows, self.columns, self.loader)
            self._bucket_ids = self.buckets.assign_many(widths, heights)
        return self._bucket_ids

    def sources(self, index: int) -> list[Any]:
        """The image sources of row ``index``, as they stand in the list."""
        return list(flat(self.rows.row(index).get(self.columns["image"])))

    def _samples(self, indices: Sequence[int]) -> list[Any]:
        return self.load_batch(indices)()

    def _sample_or_other(self, index: int, row: dict[str, Any], loaded: Iterator[Any]) -> Any:
        try:
            return self._sample(index, row, loaded)
        except ImageLoadError as error:
            return self._after_failure(index, error)

    def _loaded(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """For each source of each row: a picture that is in the row or in memory, else its body or error."""
        sources = [list(flat(row.get(self.columns["image"]))) for row in rows]
        loaded = [
            [one if hasattr(one, "convert") else self._memory.get(one) for one in several]
            for several in sources
        ]
        found = list(zip(chain(*sources), chain(*loaded), strict=True))
        bodies = iter(self.loader.read_many([source for source, picture in found if picture is None]))
        return [[next(bodies) if one is None else one for one in several] for several in loaded]

    def _sample(self, index: int, row: dict[str, Any], loaded: Iterator[Any]) -> Any:
        generator = generator_of(self.seed, self._epoch.get(), index)
        value = row.get(self.columns["image"])
        sample: dict[str, Any] = {}
        if isinstance(value, (list, tuple)):
            pictures = [self._fitted(self._picture(source, next(loaded)), index, {}) for source in value]
            if self.images_alike:
                sample["img"] = self.transforms.images_alike(pictures, generator)
            else:
                sample["img"] = [self.transforms.image(picture, generator) for picture in pictures]
        else:
            picture = self._fitted(self._picture(value, next(loaded)), index, sample)
            sample["img"] = self.transforms.image(picture, generator)
        captions = chosen_captions(row.get(self.columns.get("caption", "")), self.captions, generator)
        sample |= self.transforms.text(captions, generator)
        sample["index"] = index
        used = set(self.columns.values())
        sample["metadata"] = {name: value for name, value in row.items() if name not in used}
        return sample if self._finish is None else self._finish(sample)

    def _picture(self, source: Any, loaded: Any) -> Any:
        """The picture of a source, given what ``_loaded`` has found for it."""
        if hasattr(source, "convert"):
            return self.loader(source)
        if isinstance(loaded, ImageLoadError):
            raise loaded
        if not isinstance(loaded, bytes):
            return loaded
        picture = self._memory.get(source)
        if picture is None:
            picture = self._decoded(loaded, source)
            self._memory.keep(source, picture)
        return picture

    def _decoded(self, body: bytes, source: Any) -> Any:
        """A picture; or its pixels, scaled, where the transform says to which size."""
        transform = self.transforms.img_transform
        if isinstance(transform, ImageTransform) and self.buckets is None and self.loader.mode == "RGB":
            return self.loader.decode_scaled(body, source, transform.scaled_size)
        return self.loader.decode(body, source)

    def _fitted(self, picture: Any, index: int, sample: dict[str, Any]) -> Any:
        """The picture, in its bucket where there are buckets."""
        if self.buckets is not None:
            bucket = None if self._bucket_ids is None else int(self._bucket_ids[index])
            if bucket == NO_BUCKET or (bucket is None and self.buckets.assign(*picture.size) == NO_BUCKET):
                raise ImageLoadError.of(self.sources(index)[0], TOO_SMALL_FOR_BUCKETS)
            pixels, fit = self.buckets.resize_and_crop(picture, bucket)
            sample.update(fit.conditioning(picture.size))
            picture = pixels
            if not isinstance(self.transforms.img_transform, ImageTransform):
                picture = Image.fromarray(pixels)
        return picture

    def _after_failure(self, index: int, error: ImageLoadError) -> Any:
        if self.on_error == "raise":
            raise error
        self._note_failure(index, error)
        if self.on_error == "skip":
            return None
        for other in self._replacements(index):
            row = self.rows.row(other)
            try:
                return self._sample(other, row, iter(self._loaded([row])[0]))
            except ImageLoadError as failure:
                self._note_failure(other, failure)
        raise EmptyBatch(
            f"{REPLACEMENTS_TRIED} samples in place of row {index} failed as well; the first: {error}"
        )

    def _replacements(self, index: int) -> Iterable[int]:
        import numpy as np

        alike: Any = range(len(self))
        failed = self.failures
        if self._bucket_ids is not None and self._bucket_ids[index] != NO_BUCKET:
            alike = np.flatnonzero(self._bucket_ids == self._bucket_ids[index])
        for attempt in range(REPLACEMENTS_TRIED):
            other = int(alike[number_of(self.seed or 0, self._epoch.get(), index, attempt) % len(alike)])
            if other not in failed:
                yield other

    def _note_failure(self, index: int, error: ImageLoadError) -> None:
        if self._failures.note(index, str(error)):
            logger.warning("row %d is left out: %s", index, error)
