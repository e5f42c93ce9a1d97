"""What is evidence that the network is away, what is none, and how long it is waited for."""

from __future__ import annotations

import pytest

from img2dataset.failures import of_text
from img2dataset.fetching.requests.network import Network

NO_WAY, NO_NAMES = "connection: unreachable", "DNS: name servers unreachable"


def holds(
    network: Network, host: str, failure: str, now: float, *, has_way: bool = False, began: float = 1.0
) -> bool:
    return network.explains(host, of_text(failure), began, None, has_way, now)


@pytest.mark.parametrize(
    "failure",
    ["DNS: name not found", "connection: refused", "timeout: connect", "timeout: silence", "HTTP 503"],
)
def test_what_dead_hosts_do_is_no_evidence(failure: str) -> None:
    network = Network(120.0)
    network.answered("good", 0.5)
    assert not any(holds(network, f"host{n}", failure, 10.0 + n) for n in range(50))
    assert not network.is_waited_for


def test_several_hosts_without_a_way_out_are() -> None:
    network = Network(120.0)
    assert [holds(network, host, NO_WAY, 10.0) for host in "aab"] == [True] * 3
    assert not network.is_waited_for
    assert holds(network, "c", NO_WAY, 10.0)
    assert network.is_waited_for
    assert [network.may_begin(now) for now in (10.5, 11.1, 11.5, 12.2)] == [False, True, False, True]
    network.answered("d", 13.0)
    assert not network.is_waited_for
    assert network.may_begin(13.0)


def test_a_host_beyond_a_network_that_is_there_is_not() -> None:
    network = Network(120.0)
    network.answered("good", 0.5)
    assert not any(holds(network, f"host{n}", NO_WAY, 10.0, has_way=True) for n in range(50))
    assert holds(network, "good", NO_WAY, 11.0, has_way=True)
    assert network.is_waited_for


def test_one_suspicion_ends_by_an_answer_or_by_itself() -> None:
    network = Network(120.0)
    for host in "abcdef":
        assert holds(network, host, NO_WAY, 10.0)
        network.answered("good", 10.0)
    assert not network.is_waited_for
    assert not network.explains("a", of_text(NO_WAY), 12.0, 9.0, False, 14.0)


def test_what_was_under_way_when_it_came_back_or_the_machine_woke_is_repeated() -> None:
    network = Network(120.0)
    assert holds(network, "a", NO_NAMES, 10.0)
    assert holds(network, "b", "timeout: silence", 18.0)
    network.names_answered(20.0)
    assert holds(network, "b", "timeout: silence", 25.0, began=19.0)
    assert not holds(network, "b", "timeout: silence", 35.0, began=24.0)
    network.stood_still(100.0)
    assert holds(network, "b", "connection: reset", 100.1, began=99.0)
    assert not holds(network, "b", "HTTP 404", 100.1, began=99.0)
    assert not holds(network, "b", "connection: reset", 110.0, began=105.0)


def test_a_route_that_is_gone_and_comes_back_is_enough() -> None:
    network = Network(120.0)
    network.has_route(True, 1.0)
    assert not network.is_waited_for
    network.has_route(False, 2.0)
    assert network.is_waited_for
    network.has_route(True, 10.0)
    assert not network.is_waited_for
    assert holds(network, "a", "timeout: silence", 12.0, began=1.5)


def test_the_wait_is_bounded_in_all_and_begins_anew_only_with_what_has_answered() -> None:
    network = Network(30.0)
    assert holds(network, "a", NO_NAMES, 100.0)
    assert holds(network, "a", NO_NAMES, 129.0)
    assert not holds(network, "a", NO_NAMES, 131.0)
    assert network.is_given_up
    assert network.may_begin(131.0)
    assert not holds(network, "b", NO_NAMES, 132.0)
    network.names_answered(140.0)
    # Ten seconds of a network that is there give ten seconds of patience.
    assert holds(network, "c", NO_NAMES, 150.0, began=149.0)
    assert holds(network, "c", NO_NAMES, 159.0, began=149.0)
    assert not holds(network, "c", NO_NAMES, 161.0, began=149.0)


def test_without_patience_nothing_is_held() -> None:
    network = Network(0.0)
    assert not holds(network, "a", NO_NAMES, 10.0)
    network.stood_still(20.0)
    assert not holds(network, "a", "timeout: silence", 20.0)
