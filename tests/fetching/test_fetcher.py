"""The fetcher's thread: it starts at once, stops when told, and loses no row in silence."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from img2dataset.errors import Img2datasetError
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.fetching.fetcher import ProgressWatch
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S
from tests.servers import ImageServer

Delivered = queue.SimpleQueue[Fetched]


def test_an_idle_fetcher_wakes_for_new_rows_again_and_again(image_server: ImageServer) -> None:
    url = image_server.put("/idle.jpg", b"idle")
    delivered: Delivered = queue.SimpleQueue()
    with Fetcher(FetchSettings(adaptive_thread_count=False), delivered.put) as fetcher:
        for index in range(20):
            fetcher.submit([Row(0, index, url)])
            fetched = delivered.get(timeout=HANG_GUARD_S)
            assert (fetched.row.index, fetched.body) == (index, b"idle")
            fetcher.release(fetched.size)


def test_rows_are_taken_from_many_threads(image_server: ImageServer) -> None:
    url = image_server.put("/threads.jpg", b"threads")
    delivered: Delivered = queue.SimpleQueue()
    with Fetcher(FetchSettings(thread_count=16, adaptive_thread_count=False), delivered.put) as fetcher:

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
    fetcher = Fetcher(
        FetchSettings(thread_count=8, timeout=HANG_GUARD_S, adaptive_thread_count=False), delivered.put
    )
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
        with Fetcher(FetchSettings(adaptive_thread_count=False), delivered.put) as fetcher:
            fetcher.submit(Row(0, index, url) for index in range(10))
            for _ in range(10):
                delivered.get(timeout=HANG_GUARD_S)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_the_rows_of_a_shard_can_be_called_off_and_submitted_anew(image_server: ImageServer) -> None:
    good = image_server.put("/anew.jpg", b"anew")
    delivered: Delivered = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(thread_count=4, timeout=HANG_GUARD_S, adaptive_thread_count=False), delivered.put
    ) as fetcher:
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


def test_if_the_thread_dies_no_row_is_told_to_have_failed(
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

    with Fetcher(
        FetchSettings(thread_count=4, timeout=HANG_GUARD_S, adaptive_thread_count=False), deliver
    ) as fetcher:
        fetcher.submit([Row(0, index, good if index == 2 else hanging) for index in range(10)])
        with pytest.raises(Img2datasetError, match="the receiver is broken"):
            wait_for_error(fetcher)
        with pytest.raises(Img2datasetError, match="the receiver is broken"):
            fetcher.submit([Row(0, 0, good)])
        assert delivered.empty()
        assert fetcher.not_begun == 0
    assert "the receiver is broken" in caplog.text


def wait_for_error(fetcher: Fetcher) -> None:
    end = time.monotonic() + HANG_GUARD_S
    while time.monotonic() < end:
        fetcher.check()
        time.sleep(0.05)


def test_a_thread_that_stands_still_is_noticed_and_an_idle_one_is_not_taken_for_it(
    image_server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("img2dataset.fetching.fetcher.LONGEST_TURN_S", 2.0)
    monkeypatch.setattr("img2dataset.fetching.requests.loop.LONGEST_SLEEP_S", 0.2)
    goes_on = threading.Event()
    url = image_server.put("/still.jpg", b"still")
    with Fetcher(
        FetchSettings(adaptive_thread_count=False), lambda fetched: goes_on.wait(HANG_GUARD_S)
    ) as fetcher:  # type: ignore[arg-type,return-value]
        for _ in range(60):
            fetcher.check()
            time.sleep(0.05)
        fetcher.submit([Row(0, 0, url)])
        with pytest.raises(Img2datasetError, match="stood still"):
            wait_for_error(fetcher)
        goes_on.set()


def test_time_in_which_nobody_looked_is_not_held_against_the_thread() -> None:
    """The whole program was stopped, or the looker was busy with a large image."""
    watch = ProgressWatch()
    assert watch.silence_s(1, 100.0) == 0
    assert watch.silence_s(1, 100.5) == 0.5
    assert watch.silence_s(1, 1100.5) < 10
    assert watch.silence_s(2, 1101.0) == 0


@pytest.mark.parametrize("callback", ["response.read_answer", "transfer.address_of"])
def test_an_error_within_a_callback_of_libcurl_is_the_downloaders_and_no_rows(
    callback: str, image_server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise MemoryError(callback)

    monkeypatch.setattr(f"img2dataset.fetching.http.{callback}", broken)
    delivered: Delivered = queue.SimpleQueue()
    with Fetcher(FetchSettings(adaptive_thread_count=False), delivered.put) as fetcher:
        fetcher.submit([Row(0, 0, image_server.put("/callback.jpg", b"callback"))])
        with pytest.raises(Img2datasetError, match=callback):
            wait_for_error(fetcher)
        assert delivered.empty()
