"""Every kind of host at once, through the real scheduler; and the page that is made from it."""

from __future__ import annotations

from collections import Counter

import pytest

from img2dataset.fetching.hosts.states import (
    CLOSED_S,
    CONNECT_FAILURES,
    TRANSITIONS,
    TRIAL_REQUESTS,
    USUAL_CONNECTIONS_PER_HOST,
    HostState,
)
from tests.fetching.hosts.simulation import PAGE, SILENCE, ScriptedHost, Simulation, between, page, simulate


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate()


@pytest.fixture(scope="module")
def by_name(simulation: Simulation) -> dict[str, ScriptedHost]:
    return {host.name: host for host in simulation.hosts.values()}


def test_every_row_is_answered_once_and_nothing_is_left_running(simulation: Simulation) -> None:
    assert simulation.answered == simulation.rows > 20_000
    assert simulation.in_flight == 0
    for host in simulation.hosts.values():
        assert host.outcomes.total() == 36 * host.rows


def test_hosts_change_their_states_as_the_table_says_and_each_of_its_lines_happens(
    simulation: Simulation,
) -> None:
    seen = set().union(*(host.seen for host in simulation.hosts.values()))
    assert seen == {(each.before, each.after) for each in TRANSITIONS}


def test_the_page_is_what_the_table_and_the_simulation_make(simulation: Simulation) -> None:
    made = page(list(simulation.hosts.values()))
    assert PAGE.read_text() == made, "python -m tests.fetching.hosts.simulation > docs/host-states.md"


def test_no_host_has_more_connections_than_its_bound_and_none_is_asked_while_it_is_left_alone(
    simulation: Simulation,
) -> None:
    for host in simulation.hosts.values():
        assert host.most_running <= USUAL_CONNECTIONS_PER_HOST
        assert host.disturbed == 0


@pytest.mark.parametrize(
    "name", ["well", "slow", "limited", "polite", "rarely", "late 429", "once", "once later"]
)
def test_a_host_that_answers_in_the_end_loses_no_row(name: str, by_name: dict[str, ScriptedHost]) -> None:
    assert set(by_name[name].outcomes) == {None}


@pytest.mark.parametrize("name", ["limited", "polite"])
def test_the_limit_of_a_host_is_kept_once_it_is_learned(name: str, by_name: dict[str, ScriptedHost]) -> None:
    host = by_name[name]
    seconds = Counter(int(sent) for sent in host.requests if sent >= 20)
    assert max(seconds.values()) <= 11
    assert len(host.requests) <= 1.02 * host.outcomes.total()


def test_a_silent_host_is_given_up_after_the_trial_and_asked_once_a_minute(
    by_name: dict[str, ScriptedHost],
) -> None:
    few, many = by_name["silent, few"], by_name["silent"]
    minutes = 180 / CLOSED_S
    assert TRIAL_REQUESTS <= len(few.requests) <= TRIAL_REQUESTS + minutes
    assert len(many.requests) <= USUAL_CONNECTIONS_PER_HOST + minutes
    assert set(few.outcomes) == set(many.outcomes) == {"timeout: silence"}


def test_a_host_that_cannot_be_connected_to_is_closed_after_a_few_and_asked_once_a_minute(
    by_name: dict[str, ScriptedHost],
) -> None:
    refusing = by_name["refusing"]
    assert CONNECT_FAILURES <= len(refusing.requests) <= 2 * CONNECT_FAILURES
    assert refusing.outcomes["connection: host unreachable lately"] > 1400


@pytest.mark.parametrize(("name", "back_s"), [("dying", 100), ("back", 65), ("too long", 146), ("both", 146)])
def test_a_host_that_is_back_is_found_within_a_minute_and_loses_no_row_from_then_on(
    name: str, back_s: int, by_name: dict[str, ScriptedHost]
) -> None:
    host = by_name[name]
    answering = [tick / 4 for tick, state in enumerate(host.line) if state is not HostState.CLOSED]
    assert any(back_s <= second <= back_s + CLOSED_S for second in answering)
    assert host.outcomes[None] >= (175 - back_s - CLOSED_S) / 5 * host.rows
    assert host.line[-1] in (HostState.ANSWERING, HostState.PACED)


def test_where_rows_are_tried_again_a_host_that_was_silent_for_a_while_loses_fewer() -> None:
    def lost(retries: int) -> int:
        silent = [ScriptedHost("back soon", "", between(0, 25, SILENCE), rows=2)]
        simulation = Simulation(silent, 120.0, retries=retries)
        simulation.run()
        assert simulation.answered == simulation.rows
        return simulation.rows - silent[0].outcomes[None]

    assert lost(retries=2) < lost(retries=0) / 2
