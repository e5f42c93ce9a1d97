"""Messages between the program and its children."""

from __future__ import annotations

import io

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from img2dataset.distributing.messages import ShardForWorker
from img2dataset.processes.frames import receive, send
from img2dataset.types import Shard


@given(st.lists(st.one_of(st.text(), st.binary(), st.integers()), max_size=5))
def test_what_is_sent_is_received_in_order(messages: list[object]) -> None:
    pipe = io.BytesIO()
    for message in messages:
        send(pipe, message)
    pipe.seek(0)
    assert [receive(pipe) for _ in messages] == messages
    assert receive(pipe) is None


def test_a_message_that_breaks_off_is_the_end() -> None:
    whole = io.BytesIO()
    send(whole, "a message")
    for length in range(len(whole.getvalue())):
        assert receive(io.BytesIO(whole.getvalue()[:length])) is None


def test_a_slice_of_a_long_list_travels_alone() -> None:
    table = pa.table({"url": [f"http://127.0.0.1/{n}" for n in range(100_000)]})
    pipe = io.BytesIO()
    send(pipe, ShardForWorker(Shard(7, table.slice(5000, 100), {3: "invalid url: not a string"})))
    assert len(pipe.getvalue()) < 10_000
    pipe.seek(0)
    shard = receive(pipe).shard
    assert shard.shard_id == 7
    assert shard.rows.equals(table.slice(5000, 100))
    assert shard.invalid_urls == {3: "invalid url: not a string"}
