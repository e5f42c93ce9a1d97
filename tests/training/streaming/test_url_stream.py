"""``UrlStream``: divided by worker and rank, gone on with after a stop, no row doubled or lost."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from img2dataset.errors import OptionError
from img2dataset.training import UrlStream, collate
from img2dataset.training.streaming.position import Positions, StreamPosition
from tests.servers import ImageServer


@settings(deadline=None)
@given(st.permutations(range(40)), st.integers(0, 40))
def test_a_position_is_what_is_done_in_whatever_order(order: list[int], count: int) -> None:
    position = StreamPosition(0, 1, 0)
    for number in order[:count]:
        position = position.with_done(number)
    assert [position.done(number) for number in range(45)] == [
        number in order[:count] for number in range(45)
    ]
    other = StreamPosition(0, 1, 0)
    for number in order[count // 2 :]:
        other = other.with_done(number)
    merged = position.merged(other)
    done = set(order[:count]) | set(order[count // 2 :])
    assert {number for number in range(45) if merged.done(number)} == done
    assert not merged.beyond & 1


def test_positions_of_later_epochs_count_for_earlier_ones() -> None:
    positions = Positions(2, [StreamPosition(0, 2, 1, frontier=2)])
    assert positions.done(6, epoch=0)
    assert positions.done(2, epoch=1)
    assert not positions.done(4, epoch=1)
    assert not positions.done(1, epoch=0)
    assert Positions.of_state(pickle.loads(pickle.dumps(positions.as_state()))).done(2, 1)


def rows_of(batches: list[dict[str, Any]]) -> list[int]:
    return [int(row) for batch in batches for row in batch["row"]]


def stream_of(urls: list[str], **options: Any) -> UrlStream:
    return UrlStream(urls, img_transform={"resize": [16, 16]}, number_sample_per_shard=16, **options)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world_size", [1, 2])
def test_workers_and_ranks_divide_the_list(
    served, image_server: ImageServer, requests_of, workers: int, world_size: int
) -> None:
    urls = served(50)
    listed = [*urls, image_server.url("/status/404")]
    rows = []
    for rank in range(world_size):
        stream = stream_of(listed, rank=rank, world_size=world_size)
        batches = list(DataLoader(stream, batch_size=4, num_workers=workers, collate_fn=collate))
        assert all(tuple(batch["img"].shape[1:]) == (3, 16, 16) for batch in batches)
        rows += rows_of(batches)
    assert sorted(rows) == list(range(50))
    assert requests_of(urls) == 50


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_after_a_stop_it_goes_on_with_the_rows_that_were_not_used(
    served, workers: int, shuffle: bool
) -> None:
    urls = served(60)
    stream = stream_of(urls, shuffle=shuffle, seed=4)
    used = []
    for batch in DataLoader(stream, batch_size=5, num_workers=workers, collate_fn=collate):
        used += rows_of([batch])
        stream.advance(batch)
        if len(used) == 20:
            break
    # With workers, batches were made ahead; only what was told to ``advance`` counts.
    state = pickle.loads(pickle.dumps(stream.state_dict()))
    resumed = stream_of(urls, shuffle=shuffle, seed=4)
    resumed.load_state_dict(state)
    rest = rows_of(list(DataLoader(resumed, batch_size=5, num_workers=workers, collate_fn=collate)))
    if workers:
        assert sorted(used + rest) == list(range(60))
    else:
        assert set(used + rest) == set(range(60))
        assert len(used) + len(rest) == 60


def test_it_goes_on_with_another_number_of_ranks_and_workers(served) -> None:
    urls = served(60)
    states, used = [], []
    for rank in range(2):
        stream = stream_of(urls, rank=rank, world_size=2)
        for number, batch in enumerate(DataLoader(stream, batch_size=3, num_workers=1, collate_fn=collate)):
            used += rows_of([batch])
            stream.advance(batch)
            if number == 3 + rank:
                break
        states.append(stream.state_dict())
    with pytest.raises(OptionError, match="states of all"):
        stream_of(urls).load_state_dict(states[0])
    rest = []
    for rank in range(3):
        resumed = stream_of(urls, rank=rank, world_size=3)
        resumed.load_state_dict(states)
        rest += rows_of(list(DataLoader(resumed, batch_size=3, num_workers=2, collate_fn=collate)))
    assert sorted(used + rest) == list(range(60))


def test_each_epoch_follows_the_one_before_in_another_order(served) -> None:
    stream = stream_of(served(40), shuffle=True, seed=1, thread_count=1)
    epochs = [[sample["row"] for sample in stream] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(40))
    assert epochs[0] != epochs[1]
    stream.set_epoch(0)
    assert [sample["row"] for sample in stream] == epochs[0]


def test_a_repeating_stream_begins_again(served) -> None:
    stream = stream_of(served(6), repeat=True)
    rows = [sample["row"] for sample, _ in zip(stream, range(18), strict=False)]
    assert [sorted(rows[start : start + 6]) for start in (0, 6, 12)] == [list(range(6))] * 3


def test_options_of_download_shape_the_images(served) -> None:
    sample = next(iter(UrlStream(served(1), image_size=40, resize_mode="border")))
    assert sample["img"].size == (40, 40)
    assert sample["metadata"]["original_width"] == 96
    original = next(iter(UrlStream(served(1))))
    assert original["img"].size == (96, 64)


def test_a_state_of_another_order_is_refused(served) -> None:
    urls = served(1)
    with pytest.raises(OptionError, match="seed=1"):
        stream_of(urls, seed=2).load_state_dict(stream_of(urls, seed=1).state_dict())


def test_a_state_that_nothing_was_told_to_is_refused(served) -> None:
    urls = served(12)
    stream = stream_of(urls)
    stream.state_dict()  # of one that has not begun
    loader = DataLoader(stream, batch_size=3, num_workers=2, collate_fn=collate)
    batches = list(loader)
    with pytest.raises(OptionError, match=r"stream\.advance\(batch\)"):
        stream.state_dict()
    for batch in batches:
        stream.advance(batch)
    state = stream.state_dict()
    resumed = stream_of(urls)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    stream = stream_of(urls)
    stream.set_epoch(1)
    assert stream.state_dict()["epoch"] == 1
    for _batch in DataLoader(stream, batch_size=3, num_workers=1, collate_fn=collate):
        break
    with pytest.raises(OptionError, match="would begin again"):
        stream.state_dict()


def test_without_workers_what_was_given_out_is_the_state(served) -> None:
    stream = stream_of(served(6))
    next(iter(stream))
    assert stream.state_dict()["layers"]
