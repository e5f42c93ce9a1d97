"""The fetcher's thread: it starts at once, stops when told, and loses no row in silence."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from img2dataset.errors import Img2datasetError
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S
from tests.servers import ImageServer

Delivered = queue.SimpleQueue[Fetched]


def test_an_idle_fetcher_wakes_for_new_rows_again_and_again(image_server: ImageServer) -> None:
    url = image_server.put("/idle.jpg", b"idle")
    delivered: Delivered = queue.SimpleQueue()
    with Fetcher(FetchSettings(), delivered.put) as fetcher:
        for index in range(20):
            fetcher.submit([Row(0, index, url)])
            fetched = delivered.get(timeout=HANG_GUARD_S)
            assert (fetched.row.index, fetched.body) == (index, b"idle")
            fetcher.release(fetched.size)


def test_rows_are_taken_from_many_threads(image_server: ImageServer) -> None:
    url = image_server.put("/threads.jpg", b"threads")
    delivered: Delivered = queue.SimpleQueue()
    with Fetcher(FetchSettings(concurrency=16), delivered.put) as fetcher:

        def submit(shard_id: int) -> None:
            for index in range(100):
                fetcher.submit([Row(shard_id, index, url)])

        threads = [threading.Thread(target=submit, args=(shard_id,)) for shard_id in range(5)]
        for thread in threads:
            thread.start()
        rows = set()
        for _ in range(500):
            fetched = delivered.get(timeout=HANG_GUARD_S)
            fetcher.release(fetched.size)
            rows.add((fetched.row.shard_id, fetched.row.index))
        assert len(rows) == 500


def test_closing_aborts_what_is_on_its_way_and_may_be_repeated(image_server: ImageServer) -> None:
    delivered: Delivered = queue.SimpleQueue()
    fetcher = Fetcher(FetchSettings(concurrency=8, timeout_s=HANG_GUARD_S), delivered.put)
    fetcher.submit(Row(0, index, image_server.url("/hang-in-body")) for index in range(20))
    while fetcher.in_flight < 8:
        time.sleep(0.01)
    assert fetcher.waiting == 12
    fetcher.close()
    fetcher.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "img2dataset-fetcher"]
    assert delivered.empty()
    with pytest.raises(Img2datasetError, match="closed"):
        fetcher.submit([Row(0, 0, "http://127.0.0.1/")])
    fetcher.release(10)
    fetcher.forget(0)


def test_no_descriptor_is_left_open(image_server: ImageServer) -> None:
    import os

    url = image_server.put("/descriptors.jpg", b"descriptors")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        delivered: Delivered = queue.SimpleQueue()
        with Fetcher(FetchSettings(), delivered.put) as fetcher:
            fetcher.submit(Row(0, index, url) for index in range(10))
            for _ in range(10):
                delivered.get(timeout=HANG_GUARD_S)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_the_rows_of_a_shard_can_be_called_off_and_submitted_anew(image_server: ImageServer) -> None:
    good = image_server.put("/anew.jpg", b"anew")
    delivered: Delivered = queue.SimpleQueue()
    with Fetcher(FetchSettings(concurrency=4, timeout_s=HANG_GUARD_S), delivered.put) as fetcher:
        fetcher.submit(Row(1, index, image_server.url("/hang-in-body")) for index in range(50))
        while fetcher.in_flight < 4:
            time.sleep(0.01)
        fetcher.submit([Row(2, 0, good)])
        fetcher.forget(1)
        fetcher.submit(Row(1, index, good) for index in range(50))
        rows = set()
        for _ in range(51):
            fetched = delivered.get(timeout=HANG_GUARD_S)
            assert fetched.body == b"anew"
            fetcher.release(fetched.size)
            rows.add((fetched.row.shard_id, fetched.row.index))
        assert len(rows) == 51
        assert delivered.empty()
        assert fetcher.held_bytes == 0


def test_if_the_thread_dies_every_row_is_still_delivered_and_later_ones_are_refused(
    image_server: ImageServer, caplog: pytest.LogCaptureFixture
) -> None:
    good, hanging = image_server.put("/dies.jpg", b"dies"), image_server.url("/hang-in-body")
    delivered: Delivered = queue.SimpleQueue()
    broken = threading.Event()

    def deliver(fetched: Fetched) -> None:
        if fetched.row.url == good and not broken.is_set():
            broken.set()
            raise RuntimeError("the receiver is broken")
        delivered.put(fetched)

    with Fetcher(FetchSettings(concurrency=4, timeout_s=HANG_GUARD_S), deliver) as fetcher:
        fetcher.submit([Row(0, index, good if index == 2 else hanging) for index in range(10)])
        outcomes = [delivered.get(timeout=HANG_GUARD_S) for _ in range(10)]
        assert sorted(outcome.row.index for outcome in outcomes) == list(range(10))
        assert {outcome.failure for outcome in outcomes} == {"internal: error in the downloader"}
        with pytest.raises(Img2datasetError, match="the receiver is broken"):
            fetcher.submit([Row(0, 0, good)])
    assert "the receiver is broken" in caplog.text
