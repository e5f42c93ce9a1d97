"""Which rows have not been answered: each is struck out once, whoever does it."""

from __future__ import annotations

import random
import threading

from img2dataset.fetching.requests.ledger import MOST_SIGNALS, Download, Ledger, Redirects, Stage
from img2dataset.types import ConsentSignal, Row, Says


def rows(count: int, shard_id: int = 0) -> list[Row]:
    return [Row(shard_id, index, f"http://a.example/{index}") for index in range(count)]


def opened(ledger: Ledger) -> list[Download]:
    found = []
    while (download := ledger.next_new()) is not None:
        found.append(download)
    return found


def test_rows_are_opened_in_the_order_of_the_list_and_count_as_waiting_until_they_are_under_way() -> None:
    ledger = Ledger()
    ledger.submit(rows(5))
    assert ledger.waiting == 5
    downloads = opened(ledger)
    assert [download.row.index for download in downloads] == [0, 1, 2, 3, 4]
    assert ledger.waiting == 5
    ledger.move(downloads[0], Stage.UNDER_WAY)
    ledger.move(downloads[1], Stage.FOR_ITS_HOST)
    assert (ledger.waiting, ledger.count(Stage.UNDER_WAY), ledger.count(Stage.FOR_ITS_HOST)) == (3, 1, 1)


def test_a_download_is_closed_once_whatever_stage_it_is_at() -> None:
    ledger = Ledger()
    ledger.submit(rows(4))
    for download, stage in zip(opened(ledger), Stage, strict=False):
        ledger.move(download, stage)
        assert ledger.close(download)
        assert not ledger.close(download)
        ledger.move(download, Stage.WAITING)
        assert not download.is_open
    assert [ledger.count(stage) for stage in Stage] == [0, 0, 0, 0, 4]


def test_what_is_forgotten_is_closed_and_rows_of_the_same_shard_submitted_later_are_new() -> None:
    ledger = Ledger()
    ledger.submit([*rows(3, 1), *rows(2, 2)])
    first, second, *_ = opened(ledger)[:2]
    ledger.submit(rows(3, 1))
    ledger.move(second, Stage.UNDER_WAY)
    ledger.forget(1)
    assert not first.is_open
    assert not ledger.close(second)
    assert ledger.take_forgotten()
    assert not ledger.take_forgotten()
    ledger.submit(rows(1, 1))
    assert ledger.waiting == 3
    anew = opened(ledger)[-1]
    assert anew.is_open
    assert anew.row == first.row


def test_the_last_rows_that_nothing_was_done_for_are_given_back() -> None:
    ledger = Ledger()
    ledger.submit(rows(5))
    assert ledger.next_new() is not None
    assert [row.index for row in ledger.give_back(2)] == [4, 3]
    assert [row.index for row in ledger.give_back(9)] == [2, 1]
    assert ledger.give_back(1) == []
    assert ledger.waiting == 1


def test_an_error_of_the_downloader_leaves_nothing_to_deliver() -> None:
    ledger = Ledger()
    ledger.submit([*rows(3, 1), *rows(3, 2)])
    downloads = [ledger.next_new() for _ in range(4)]
    ledger.empty()
    assert ledger.waiting == 0
    assert not any(ledger.close(download) for download in downloads if download is not None)


def test_threads_that_close_and_forget_at_the_same_time_lose_no_row_and_close_none_twice() -> None:
    ledger = Ledger()
    for shard_id in range(20):
        ledger.submit(rows(100, shard_id))
    downloads = opened(ledger)
    closed: list[Download] = []
    given_up = threading.Thread(target=lambda: [ledger.forget(shard_id) for shard_id in range(10)])

    def deliver(part: list[Download]) -> None:
        closed.extend(download for download in part if ledger.close(download))

    shuffled = random.Random(1).sample(downloads, len(downloads))
    threads = [threading.Thread(target=deliver, args=(shuffled[n::2] + shuffled,)) for n in range(2)]
    for thread in (*threads, given_up):
        thread.start()
    for thread in (*threads, given_up):
        thread.join()
    assert len(set(closed)) == len(closed)
    assert {download for download in downloads if download.row.shard_id >= 10} <= set(closed)
    assert ledger.count(Stage.CLOSED) == 2000
    assert ledger.waiting == 0


def said(value: object, says: Says = "unknown") -> ConsentSignal:
    return ConsentSignal("x-robots-tag", "header", str(value), says, True, 0.0)


def test_what_is_said_of_a_row_is_kept_once_and_of_too_much_what_restricts_most() -> None:
    download = Download(Row(0, 0, "http://a.example/a"))
    download.hear([said("a"), said("no", "no"), said("a")])
    download.hear([said("b"), said("a")])
    assert [each.value for each in download.signals] == ["a", "no", "b"]
    download.hear([said(number) for number in range(10_000)])
    download.hear([said("last", "no")])
    assert len(download.signals) == MOST_SIGNALS
    assert [each.value for each in download.signals if each.says == "no"] == ["no", "last"]


def test_each_try_of_a_site_s_file_begins_with_what_has_led_to_it() -> None:
    led_here = Redirects(after_public=True)
    download = Download(Row(-1, 0, ""), site_file="http://a.example/robots.txt", led_here=led_here)
    download.redirects = Redirects(hops=3, foreign=True)
    download.start_again()
    assert download.redirects == led_here
