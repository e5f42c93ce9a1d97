"""Images of a batch lie in one block, which collating hands over; all else is stacked as ever."""

from __future__ import annotations

import gc
import io
import tarfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, default_collate

from img2dataset.training import ImageTextDataset, TarStream, collate
from img2dataset.training.load.batch_memory import StreamBlocks, as_one, one_block, room
from tests.pictures import photograph

SHAPE = (3, 4, 5)


def filled(count: int) -> list[torch.Tensor]:
    tensors = [room(SHAPE) for _ in range(count)]
    for number, tensor in enumerate(tensors):
        tensor.fill_(number)
    return tensors


def test_tensors_of_one_block_are_one_without_a_copy() -> None:
    with one_block(4):
        tensors = filled(4)
    whole = as_one(tensors)
    assert whole is not None
    assert whole.shape == (4, *SHAPE)
    assert whole[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert whole.data_ptr() == tensors[0].data_ptr()
    with one_block(4):
        part = as_one(filled(4)[1:3])
    assert part is not None
    assert part[:, 0, 0, 0].tolist() == [1, 2]


def test_what_is_not_in_order_or_not_of_a_block_is_not_joined() -> None:
    with one_block(3):
        tensors = filled(5)  # two more than there is room for
    large = torch.zeros(4, *SHAPE)
    for others in (
        [],
        tensors[::-1],
        [tensors[0], tensors[2]],
        [tensors[0], tensors[0]],
        tensors,
        [tensors[0], tensors[1].clone()],
        [tensors[0] + 1, tensors[1] + 1],
        list(large),
        filled(2),
    ):
        assert as_one(others) is None
    with one_block(2):
        assert room((3, 2, 2)).shape == (3, 2, 2)
        assert room(SHAPE).shape == SHAPE
    with one_block(2):
        first = room(SHAPE)
    with one_block(2):
        assert as_one([first, room(SHAPE)]) is None


def made(blocks: StreamBlocks, count: int, shape: tuple[int, ...] = SHAPE) -> list[torch.Tensor]:
    tensors = []
    for _ in range(count):
        with blocks.one_sample():
            tensors.append(room(shape))
    return tensors


def test_batches_of_a_stream_are_one_from_the_second_on() -> None:
    blocks = StreamBlocks()
    assert as_one(made(blocks, 4)) is None
    for length in (4, 4, 3):  # the last is shorter
        tensors = made(blocks, length)
        whole = as_one(tensors)
        assert whole is not None
        assert whole.shape == (length, *SHAPE)
        assert whole.data_ptr() == tensors[0].data_ptr()
    # The length is another from here on, and the block that was begun for the old one is left.
    assert as_one(made(blocks, 5)) is None
    assert as_one(made(blocks, 5)) is not None
    begun = made(blocks, 1)
    assert as_one(begun) is None  # collated alone
    assert as_one(made(blocks, 2)) is None
    assert as_one(made(blocks, 2)) is not None


def test_samples_of_a_stream_in_another_order_lie_each_by_itself() -> None:
    blocks = StreamBlocks()
    as_one(made(blocks, 4))
    tensors = made(blocks, 4)
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == 1
    assert as_one([tensors[0], tensors[2], tensors[1], tensors[3]]) is None
    tensors = made(blocks, 4)
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == 4
    other = StreamBlocks()
    assert as_one([*tensors[:2], *made(other, 2)]) is None
    assert as_one([tensors[0], torch.zeros(SHAPE)]) is None


def test_memory_is_handed_over_once_and_never_that_of_a_single_sample() -> None:
    blocks = StreamBlocks()
    tensors = made(blocks, 1)
    assert as_one(tensors) is None
    as_one(made(blocks, 3))
    tensors = made(blocks, 3)
    assert as_one(tensors[:2]) is not None
    assert as_one(tensors) is None
    assert as_one(tensors[1:]) is None
    samples = [{"img": tensor.fill_(1)} for tensor in made(blocks, 2)]
    one, other = collate(samples), collate(samples)
    one["img"] += 1
    assert torch.equal(other["img"], torch.ones(2, *SHAPE))
    batch = collate([sample := {"img": made(blocks, 1)[0].fill_(1)}])
    batch["img"] += 1
    assert torch.equal(sample["img"], torch.ones(SHAPE))


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.unsqueeze_(0),
        lambda tensor: tensor.transpose_(1, 2),
        lambda tensor: setattr(tensor, "data", tensor.flip(-1)),
        lambda tensor: setattr(tensor, "data", tensor.half()),
        lambda tensor: tensor.requires_grad_(),
    ],
)
def test_a_tensor_that_was_made_another_is_stacked_as_it_is(change: Callable[[torch.Tensor], Any]) -> None:
    blocks = StreamBlocks()
    as_one(made(blocks, 2))
    tensors = [tensor.copy_(torch.rand(SHAPE)) for tensor in made(blocks, 2)]
    for tensor in tensors:
        change(tensor)
    batch = collate([{"img": tensor} for tensor in tensors])["img"]
    assert torch.equal(batch, torch.stack(tensors))
    assert (batch.dtype, batch.requires_grad) == (tensors[0].dtype, tensors[0].requires_grad)


def test_streams_whose_samples_are_mixed_have_no_blocks() -> None:
    for others in (made(StreamBlocks(), 1), [torch.zeros(SHAPE)]):
        blocks = StreamBlocks()
        as_one(made(blocks, 4))
        assert as_one([*made(blocks, 4), *others]) is None
        one, other = made(blocks, 2)
        assert one.untyped_storage().data_ptr() != other.untyped_storage().data_ptr()


def test_a_block_is_gone_with_its_last_sample() -> None:
    blocks = StreamBlocks()
    as_one(made(blocks, 4))
    tensors = made(blocks, 4)
    memory = weakref.ref(tensors[0].untyped_storage())
    whole = as_one(tensors)
    gc.disable()
    try:
        del blocks, tensors
        assert memory() is not None
        del whole
        assert memory() is None
    finally:
        gc.enable()


def test_a_sample_of_a_stream_is_saved_as_the_tensor_that_it_is() -> None:
    blocks = StreamBlocks()
    as_one(made(blocks, 3))
    tensor = made(blocks, 2)[1].fill_(7)
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True), tensor)


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    for number in range(10):
        (tmp_path / f"{number}.jpg").write_bytes(photograph(80 + number, 60, number))
    return [{"image": str(tmp_path / f"{number}.jpg"), "caption": str(number)} for number in range(10)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("normalize", [False, True, [0.4, [0.2, 0.3, 0.4]]])
def test_batches_are_what_stacked_samples_are(rows: Any, workers: int, normalize: Any) -> None:
    options = {"img_transform": {"resize": [32, 48], "normalize": normalize}, "seed": 1}
    dataset = ImageTextDataset(rows, **options)
    expected = torch.stack([dataset[index]["img"] for index in range(10)])
    batches = list(DataLoader(dataset, 4, num_workers=workers, collate_fn=collate))
    assert torch.equal(torch.cat([batch["img"] for batch in batches]), expected)
    others = list(
        DataLoader(
            dataset,
            4,
            num_workers=workers,
            collate_fn=lambda them: [default_collate([sample["img"] for sample in them])],
        )
    )
    assert torch.equal(torch.cat([batch[0] for batch in others]), expected)


@pytest.fixture
def tars(tmp_path: Path) -> TarStream:
    """Two of eleven samples each."""
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            for number in range(11):
                body = photograph(50, 40 + number, 11 * shard + number)
                member = tarfile.TarInfo(f"{number}.jpg")
                member.size = len(body)
                tar.addfile(member, io.BytesIO(body))
    return TarStream(tmp_path, img_transform={"resize": [24, 32], "random_crop": [20, 20]})


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_tars_are_what_stacked_samples_are(tars: TarStream, workers: int) -> None:
    expected = {sample["index"]: sample["img"] for sample in tars}
    assert len(expected) == 22
    for size in (1, 3, 4, 22, 100):
        batches = list(DataLoader(tars, size, num_workers=workers, collate_fn=collate))
        indices = [number for batch in batches for number in batch["index"].tolist()]
        found = dict(zip(indices, torch.cat([batch["img"] for batch in batches]), strict=True))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[index], expected[index]) for index in expected)


def test_batches_of_a_stream_in_a_worker_are_one_block(tars: TarStream) -> None:
    batches = list(DataLoader(tars, 4, num_workers=1, collate_fn=collate))
    assert [len(batch["img"]) for batch in batches] == [4, 4, 4, 4, 4, 2]
    # The block of the last batch was made for a whole one.
    sizes = {batch["img"].untyped_storage().nbytes() // batch["img"][0].nbytes for batch in batches}
    assert sizes == {4}


class Again(torch.utils.data.IterableDataset[Any]):
    """Gives what it has kept of a stream, twice."""

    def __init__(self, stream: TarStream) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[Any]:
        kept = []
        for sample in self.stream:
            kept.append(sample)
            yield sample
        yield from kept


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_that_are_kept_are_not_changed_with_their_batch(tars: TarStream, workers: int) -> None:
    expected = {sample["index"]: sample["img"] for sample in tars}
    seen = []
    for batch in DataLoader(Again(tars), 4, num_workers=workers, collate_fn=collate):
        for index, image in zip(batch["index"].tolist(), batch["img"], strict=True):
            assert torch.equal(image, expected[index])
            seen.append(index)
        batch["img"].mul_(2)
    assert sorted(seen) == sorted([*expected, *expected])


def test_skipped_replaced_and_changed_samples_are_in_their_places(rows: Any, tmp_path: Path) -> None:
    (tmp_path / "3.jpg").write_bytes(b"no image")
    transform = {"resize": [32, 32]}
    for on_error, numbers in (("skip", [0, 1, 2, 4, 5, 6, 7, 8, 9]), ("replace", None)):
        dataset = ImageTextDataset(rows, img_transform=transform, on_error=on_error, seed=0)
        (batch,) = DataLoader(dataset, 10, collate_fn=collate)
        assert numbers is None or batch["index"].tolist() == numbers
        for image, index in zip(batch["img"], batch["index"].tolist(), strict=True):
            assert torch.equal(image, dataset[index]["img"])
    doubled = ImageTextDataset(
        rows[:3], img_transform=transform, model_transform=lambda sample: {"img": sample["img"] * 2}
    )
    (batch,) = DataLoader(doubled, 3, collate_fn=collate)
    plain = ImageTextDataset(rows[:3], img_transform=transform)
    assert torch.equal(batch["img"], torch.stack([plain[index]["img"] * 2 for index in range(3)]))


def test_values_are_those_of_the_pixels() -> None:
    body = io.BytesIO()
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    Image.fromarray(pixels).save(body, "PNG")
    dataset = ImageTextDataset([{"image": body.getvalue()}], img_transform={"normalize": [0.5, 0.25]})
    expected = (torch.from_numpy(pixels).permute(2, 0, 1) / 255 - 0.5) / 0.25
    assert torch.allclose(dataset[0]["img"], expected, atol=1e-6)
