"""In which order rows begin: as a data structure, without a host."""

from __future__ import annotations

from img2dataset.fetching.requests.ledger import Download, Ledger
from img2dataset.fetching.requests.row_order import Resumed, RowOrder
from img2dataset.types import Row


def downloads(hosts: str) -> list[Download]:
    """One for each letter, of the host of that name."""
    return [Download(Row(0, index, ""), host=host) for index, host in enumerate(hosts)]


def test_every_second_row_is_one_of_a_host_nothing_is_known_of() -> None:
    known: set[str] = set()
    order = RowOrder(lambda host, now: "none" if host in known else "first")
    for download in downloads("aaaaaabbcd"):
        order.add(download, 0.0)
    begun = []
    while (begins := order.take(0.0)) is not None:
        known.add(begins.host)
        begun.append(begins.row.index)
    assert begun == [0, 1, 6, 2, 8, 3, 9, 4, 5, 7]


def test_a_host_on_trial_is_tried_before_hosts_nothing_is_known_of() -> None:
    order = RowOrder(lambda host, now: "trial" if host == "s" and now > 0 else "first")
    for download in downloads("xsssyy"):
        order.add(download, 0.0)
    begun = []
    while (begins := order.take(1.0)) is not None:
        begun.append(begins.row.index)
    assert begun == [2, 0, 3, 1, 4, 5]


def test_rows_that_are_taken_back_or_forgotten_do_not_begin() -> None:
    order = RowOrder(lambda host, now: "first")
    ledger = Ledger()
    for download in downloads("aabbccdd"):
        download.row = Row(download.row.index % 2, download.row.index, "")
        order.add(ledger.open(download), 0.0)
    assert [each.row.index for each in order.take_back(3, lambda download: download.host != "d")] == [5, 4, 3]
    for download in list(order._in_order):
        if download.row.shard_id == 1:
            ledger.close(download)
    assert [download.row.index for download in order.take_all_of("d")] == [6]
    assert [each.row.index for each in order.take_back(2, lambda download: download.is_open)] == [2, 0]
    assert order.take(0.0) is None
    assert len(order) == 0


def test_what_goes_on_is_taken_when_it_is_due_and_passed_over_if_nobody_wants_it_any_more() -> None:
    ledger, resumed = Ledger(), Resumed()
    now, later, forgotten, last = (ledger.open(download) for download in downloads("abcd"))
    resumed.put_at(later, 2.0)
    resumed.put_at(last, 3.0)
    for download in (forgotten, now):
        resumed.put(download)
    ledger.close(forgotten)
    assert resumed.take(1.0) is now
    assert resumed.take(1.0) is None
    assert resumed.next_due(1.0) == 2.0
    assert resumed.take(2.5) is later
    ledger.close(last)
    assert resumed.take(9.0) is None
    assert resumed.next_due(9.0) is None
