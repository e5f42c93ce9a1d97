"""Which connections may wait, idle, for the next request of a host that has few."""

from __future__ import annotations

import pytest

from img2dataset.fetching import FetchSettings
from img2dataset.fetching.hosts.policies import HostPolicies, HostPolicy
from img2dataset.fetching.hosts.politeness import host_of
from img2dataset.fetching.requests.in_flight import TransferPool
from img2dataset.fetching.requests.ledger import Download
from img2dataset.types import Row

POLICIES = HostPolicies([HostPolicy(host="known.example", connections=2), HostPolicy(host="fast.example")])


def kept(uris: list[str], processes: int = 2) -> list[bool]:
    """Whether the connection of each request is kept, one after the other by one process."""
    settings = FetchSettings(policies=POLICIES, processes=processes)
    pool = TransferPool(settings, None, lambda held, wanted: True)
    found = []
    for uri in uris:
        download = Download(Row(0, 0, uri), uri, host_of(uri))
        transfer = pool.take(download)
        pool.begin(transfer, download, 0, 0.0)
        found.append(transfer.keeps_connection)
        pool.put_back(transfer)
    pool.close()
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_a_known_host_has_no_idle_connection_beside_one_of_the_other_scheme(processes: int) -> None:
    https, http = "https://known.example/a.jpg", "http://known.example/a.jpg"
    assert kept([https, https], processes) == [True, True]
    # As a redirect from http to https leads.
    assert kept([http, https, http, https], processes) == [False] * 4
    assert kept([https, http, https], processes) == [True, False, False]


def test_other_hosts_keep_theirs() -> None:
    for host in ("known.example:8080", "fast.example", "else.example"):
        assert kept([f"http://{host}/a.jpg", f"http://{host}/b.jpg"]) == [True, True]


def test_processes_that_take_turns_keep_none() -> None:
    assert kept(["https://known.example/a.jpg"], processes=3) == [False]
