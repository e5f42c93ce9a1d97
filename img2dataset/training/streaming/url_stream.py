"""``UrlStream``: a list of URLs as a PyTorch ``IterableDataset``, downloaded while it is trained on.

Every worker of every rank reads the list and takes its own rows; positions travel with the samples, so that
the training loop knows what it has used and can go on there.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.training.batch.sampling import rank_and_world_size
from img2dataset.training.load.finishing import (
    CaptionTransformLike,
    ImageTransformLike,
    SampleTransforms,
    TokenizerLike,
)
from img2dataset.training.load.image_bytes import DecodeFailed
from img2dataset.training.load.said_once import SaidOnce
from img2dataset.training.randomness import generator_of
from img2dataset.training.representation import shown, shown_source
from img2dataset.training.requirements import require
from img2dataset.training.streaming.engine import SampleEngine, StreamedSample
from img2dataset.training.streaming.position import Positions, StreamPosition
from img2dataset.training.streaming.rows import Share, open_list_of, rows_of, stream_options
from img2dataset.types import SUCCESS

torch = require("torch", "a dataset for PyTorch")

MOST_WORKERS = 1024


class UrlStream(torch.utils.data.IterableDataset):  # type: ignore[misc, name-defined]
    """Images and captions of a list of URLs, straight from the network.

    Args:
        url_list: as for ``download``.
        img_transform, caption_transform, tokenizer: as in ``ImageTextDataset``.
        shuffle: shuffle the rows of each shard (``number_sample_per_shard`` rows) by seed and epoch, before
            they are downloaded.
        seed: of the order, and of random captions and crops.
        repeat: begin again at the end of the list, for ever, in the next epoch.
        look_ahead: finished images that may wait, in each worker.
        rank, world_size: None: as PyTorch's process group says, or alone.
        options: of ``download``, as for ``stream``. If none of them asks for a size or an encoding, the
            downloaded bytes go to the transform as they came, and are decoded once.

    A sample is a dictionary: ``img``, ``caption``, ``tokens`` if there is a tokenizer, ``index`` (number in
    the list; also as ``row``), ``metadata``, and ``position``. Rows that fail are left out and counted as
    done. Together, all workers of all ranks give every other row once an epoch.

    To go on after a stop: tell the stream of each batch that is used, and keep its state.

        for batch in DataLoader(stream, batch_size=64, num_workers=2, collate_fn=collate):
            train(batch)
            stream.advance(batch)
        torch.save(stream.state_dict(), path)        # of each rank
        ...
        stream.load_state_dict(torch.load(path))     # before the DataLoader

    Raises:
        OptionError: an option is wrong, or has no meaning here.
    """

    def __init__(
        self,
        url_list: Any,
        *,
        img_transform: ImageTransformLike = None,
        caption_transform: CaptionTransformLike = None,
        tokenizer: TokenizerLike = None,
        shuffle: bool = False,
        seed: int = 0,
        repeat: bool = False,
        look_ahead: int = 64,
        rank: int | None = None,
        world_size: int | None = None,
        **options: Any,
    ):
        super().__init__()
        shaping = (
            "image_size",
            "resize_mode",
            "encode_format",
            "encode_quality",
            "skip_reencode",
            "bbox_col",
        )
        filters = ("min_image_size", "max_image_area", "max_aspect_ratio")
        if not any(name in options for name in (*shaping, *filters)):
            options = {"disable_all_reencoding": True} | options
        self.options = stream_options(url_list, options)
        self.transforms = SampleTransforms(img_transform, caption_transform, tokenizer, seeded=True)
        self.shuffle = shuffle
        self.seed = seed
        self.repeat = repeat
        self.look_ahead = look_ahead
        self.rank, self.world_size = rank_and_world_size(rank, world_size)
        self._said_once = SaidOnce()
        # What was done before this run, a layer for each number of consumers that there was.
        self._before: list[Positions] = []
        self._of_all_ranks = True
        self._current: Positions | None = None
        self._first_epoch = 0
        # An epoch for each worker, in shared memory: workers end an epoch at different times.
        self._epochs: Any = torch.zeros(MOST_WORKERS, dtype=torch.int64).share_memory_()
        # Likewise: whether workers have given out samples, which only ``advance`` tells the training process.
        self._given_by_workers: Any = torch.zeros((), dtype=torch.bool).share_memory_()

    def __repr__(self) -> str:
        return shown(
            self,
            shown_source(self.options.url_list),
            img_transform=self.transforms.img_transform,
            caption_transform=self.transforms.caption_transform,
            tokenizer=self.transforms.tokenizer,
            shuffle=self.shuffle,
            seed=self.seed,
            repeat=self.repeat,
            rank=f"{self.rank} of {self.world_size}",
        )

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is, for the order. Without it, each is followed by the next."""
        self._epochs.fill_(epoch)
        self._given_by_workers.fill_(False)
        self._first_epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """This worker's samples.

        Raises:
            InputError: the list cannot be read as described.
        """
        worker = torch.utils.data.get_worker_info()
        workers, worker_id = (worker.num_workers, worker.id) if worker is not None else (1, 0)
        consumers = self.world_size * workers
        if not self._of_all_ranks and any(layer.consumers != consumers for layer in self._before):
            raise OptionError(
                "the state is of this rank alone and of another number of workers;"
                " give the states of all ranks: load_state_dict([…])"
            )
        consumer = self.rank * workers + worker_id
        for epoch in itertools.count(int(self._epochs[worker_id])):
            self._epochs[worker_id] = epoch
            yield from self._epoch(Share(consumer, consumers, self.shuffle, self.seed, epoch))
            self._epochs[worker_id] = epoch + 1
            if not self.repeat:
                return

    def _epoch(self, share: Share) -> Iterator[dict[str, Any]]:
        position = self._beginning(share)
        skipped: deque[int] = deque()

        def skip(place: int) -> bool:
            done = any(layer.done(place, share.epoch) for layer in self._before)
            if done and not position.done(place // share.consumers):
                skipped.append(place)
            return done

        rows = rows_of(open_list_of(self.options), self.options, share, skip)
        engine = SampleEngine(rows, self.options, "bytes", self.look_ahead, self._said_once)
        try:
            for finished in engine.batches():
                for streamed in finished:
                    while skipped:
                        position = position.with_done(skipped.popleft() // share.consumers)
                    position = position.with_done(streamed.place // share.consumers)
                    sample = self._sample(streamed, share.epoch)
                    if sample is not None:
                        self._note(position)
                        if torch.utils.data.get_worker_info() is not None:
                            self._given_by_workers.fill_(True)
                        yield sample | {"position": position}
        finally:
            engine.close()

    def _beginning(self, share: Share) -> StreamPosition:
        """Where this consumer begins: where it was, if there were as many consumers before."""
        for layer in self._before:
            former = layer.by_consumer.get(share.consumer)
            if layer.consumers == share.consumers and former is not None and former.epoch == share.epoch:
                return former
        return StreamPosition(share.consumer, share.consumers, share.epoch)

    def _sample(self, streamed: StreamedSample, epoch: int) -> dict[str, Any] | None:
        if streamed.status != SUCCESS:
            return None
        generator = generator_of(self.seed, epoch, streamed.row)
        try:
            picture = self.transforms.decode(streamed.image, self.options.max_decoded_pixels)
        except DecodeFailed:
            return None
        sample: dict[str, Any] = {"img": self.transforms.image(picture, generator)}
        sample |= self.transforms.text(streamed.caption or "", generator)
        sample["index"] = sample["row"] = streamed.row
        sample["metadata"] = streamed.metadata
        return sample

    def _note(self, position: StreamPosition) -> None:
        if self._current is None or self._current.consumers != position.consumers:
            self._current = Positions(position.consumers)
        self._current.advance(position)

    def advance(self, batch: Mapping[str, Any]) -> None:
        """Take note that training has used ``batch`` (as collated, or one sample)."""
        positions = batch["position"]
        for position in [positions] if isinstance(positions, StreamPosition) else positions:
            self._note(position)

    def state_dict(self) -> dict[str, Any]:
        """What this rank has used: the batches told to ``advance``; without workers, those given out.

        Raises:
            OptionError: workers have given out samples, and none was told to ``advance``.
        """
        of_worker = torch.utils.data.get_worker_info() is not None
        if self._current is None and not of_worker and bool(self._given_by_workers):
            raise OptionError(
                "workers have given out samples of the stream, but none was told to advance, so that a state"
                " would begin again; call stream.advance(batch) for each batch that is used"
            )
        layers = list(self._before)
        epoch = self._first_epoch
        if self._current is not None:
            layers.append(self._current)
            epoch = min(position.epoch for position in self._current.by_consumer.values())
        return {
            "epoch": epoch,
            "seed": self.seed,
            "shuffle": self.shuffle,
            "rank": self.rank,
            "world_size": self.world_size,
            "layers": [layer.as_state() for layer in layers],
        }

    def load_state_dict(self, state: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Go on where a state says: its own rank's, or those of all ranks, in any order.

        With as many ranks and workers as before, a rank needs its own state only; with another number, the
        states of all ranks.

        Raises:
            OptionError: states of another order of the list, or of too few ranks.
        """
        states = [state] if isinstance(state, Mapping) else list(state)
        for one in states:
            if (one["seed"], one["shuffle"]) != (self.seed, self.shuffle):
                raise OptionError(
                    f"the state is of seed={one['seed']}, shuffle={one['shuffle']}, the stream has"
                    f" seed={self.seed}, shuffle={self.shuffle}; use the same"
                )
        ranks = {one["rank"] for one in states}
        world_size = states[0]["world_size"]
        if len(ranks) < world_size and (world_size != self.world_size or self.rank not in ranks):
            raise OptionError(
                f"the state is of {len(ranks)} of {world_size} ranks, and this is rank {self.rank} of"
                f" {self.world_size}; with another number of ranks, give the states of all in a list"
            )
        epoch = min(one["epoch"] for one in states)
        merged: dict[int, Positions] = {}
        for one in states:
            for layer in map(Positions.of_state, one["layers"]):
                positions = merged.setdefault(layer.consumers, Positions(layer.consumers))
                for position in layer.by_consumer.values():
                    if position.epoch >= epoch:
                        positions.advance(position)
        self._before, self._current = list(merged.values()), None
        self._of_all_ranks = len(ranks) == world_size
        self.set_epoch(epoch)
