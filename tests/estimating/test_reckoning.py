"""From a sample to the whole list: intervals, rates, what limits. Pure."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from img2dataset.estimating.interval import design_effect, wilson_interval
from img2dataset.estimating.lines import lines_of_estimate
from img2dataset.estimating.reckoning import Estimate, Machine, reckon
from img2dataset.estimating.sampled_list import COUNTED
from img2dataset.fetching.hosts.policies import HostPolicies, HostPolicy
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.reporting.facts import Facts

# Ten of the bodies below a second.
KNOWN = HostPolicy(host="known.example", connections=20, bytes_per_s=1_400_000)


def machine(**manners: Any) -> Machine:
    return Machine(4, 4, 1024, HostManners(policies=HostPolicies([KNOWN]), **manners))


MACHINE = machine()


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "count": 1000,
        "successes": 700,
        "messages": Counter({"success": 700, "HTTP 404": 200, "DNS: name not found": 100}),
        "measured": 1000,
        "bytes_in": 140_000_000,
        "bytes_out": 14_000_000,
        "worker_s": 40.0,
        "cpu_s": 4.0,
        "waited_s": {"network": 30.0},
    }
    return Facts(**{**values, **changes})


def estimate(machine: Machine = MACHINE, **changes: Any) -> Estimate:
    return reckon(facts(**changes), 10.0, None, 20_000_000, 1_000_000, machine)


@pytest.mark.parametrize(
    ("successes", "rows", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_that_were_published(successes: int, rows: int, low: float, high: float) -> None:
    assert wilson_interval(successes, rows) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance, held = random.Random(1), 0
    for _ in range(1000):
        successes = sum(chance.random() < 0.9 for _ in range(200))
        low, high = wilson_interval(successes, 200)
        held += low <= 0.9 <= high
    assert 925 <= held <= 975


def test_rows_that_are_alike_say_less() -> None:
    parts = [part for part in range(20) for _ in range(30)]
    alike = [part % 2 == 0 for part in parts]
    assert design_effect(alike, parts) == pytest.approx(30 * 20 / 19)
    chance = random.Random(2)
    unlike = [chance.random() < 0.5 for _ in parts]
    assert 1 <= design_effect(unlike, parts) < 1.8
    assert design_effect([True] * 600, parts) == 1
    assert design_effect(alike[:60], parts[:60]) == 1  # of two parts nothing is said


def test_sums_are_of_the_whole_list() -> None:
    found = estimate()
    assert found.success_share == 0.7
    assert found.bytes_in == 140_000 * 1_000_000
    assert found.bytes_out == 20_000 * 1_000_000
    assert [(each.message, each.rows_of_list) for each in found.failures] == [
        ("HTTP 404", 200_000),
        ("DNS: name not found", 100_000),
    ]
    low, high = found.failures[0].interval
    assert low < 0.2 < high


def test_the_time_lies_between_what_was_seen_and_what_the_cores_can_do() -> None:
    found = estimate()  # 100 rows/s were seen; 4 cores at 4 ms a row do 1,000
    assert (found.rate_seen, found.rate_is_settled) == (100, False)
    assert found.rate_of_cores == pytest.approx(1000)
    assert found.hours == pytest.approx((1000 / 3600, 10_000 / 3600))
    assert found.images_per_second == pytest.approx((70, 700))
    assert found.line_needed == pytest.approx(140_000_000)
    settled = reckon(facts(), 10.0, 250.0, 0, 1_000_000, MACHINE)
    assert (settled.rate_seen, settled.rate_is_settled) == (250, True)
    one_process = Machine(1, 4, 256, HostManners())
    assert estimate(one_process).rate_of_cores == pytest.approx(250)


@pytest.mark.parametrize(
    ("waited", "cpu", "limit", "words"),
    [
        ({"network": 30.0}, 4.0, "network", "more cores change nothing"),
        ({"names": 25.0, "network": 5.0}, 4.0, "names", "name servers"),
        ({"hosts": 25.0, "network": 5.0}, 4.0, "hosts", "manners"),
        ({"network": 2.0}, 36.0, "cores", "twice the cores (8)"),
        ({"network": 2.0}, 4.0, "crowded", "others use the cores"),
        # The end of a sample is none of a long run's: what is left is work.
        ({"last answers": 30.0}, 9.5, "cores", "more bandwidth alone changes nothing"),
        ({"last answers": 40.0}, 4.0, None, "too short to tell"),
    ],
)
def test_what_limits_is_named(waited: dict[Any, float], cpu: float, limit: str | None, words: str) -> None:
    found = estimate(waited_s=waited, cpu_s=cpu)
    assert found.limit == limit
    assert words in " ".join(" ".join(lines(found)).split())


def lines(found: Estimate, remote_output: bool = False) -> list[str]:
    return lines_of_estimate(found, COUNTED, [], remote_output=remote_output)


@pytest.mark.parametrize(
    ("host", "on", "hours"),
    [
        ("example.com", MACHINE, 500_000 / 32 / 3600),
        ("example.com", machine(max_connections_per_host=4), 500_000 / 4 / 3600),
        ("example.com", machine(max_connections_per_host=0), None),
        (
            "example.com",
            machine(max_connections_per_host=0, max_requests_per_second_per_host=2.0),
            500_000 / 2 / 3600,
        ),
        ("known.example", MACHINE, 500_000 / 10 / 3600),
        ("10.0.0.7", MACHINE, None),
        ("127.0.0.1", machine(max_connections_per_host=4), 500_000 / 4 / 3600),
    ],
)
def test_a_host_with_many_rows_is_held_against_its_bounds(
    host: str, on: Machine, hours: float | None
) -> None:
    troubles = {host: Counter({"HTTP 429": 40})}
    found = estimate(on, hosts=Counter({host: 500, "rare.example": 5}), troubles=troubles)
    assert [each.host for each in found.hosts] == [host]
    assert found.hosts[0].share == 0.5
    assert found.hosts[0].failures == {"HTTP 429": 40}
    assert found.hosts[0].hours == pytest.approx(hours)
    assert found.hosts[0].limits == (hours is not None)
    assert ("LIMITS the run" in " ".join(" ".join(lines(found)).split())) == (hours is not None)


def test_what_a_sample_cannot_tell_is_said() -> None:
    found = estimate()
    assert found.sample_fits_in_flight
    assert "a higher --sample_rows" in " ".join(lines(found))
    large = estimate(Machine(1, 4, 256, HostManners()))
    assert "--sample_rows" not in " ".join(lines(large))
    parts = [row // 50 for row in range(1000)]
    alike = reckon(facts(), 10.0, None, 0, 10**6, MACHINE, [part < 14 for part in parts], parts)
    assert alike.design_effect > 20
    low, high = alike.success_interval
    assert high - low > 4 * (found.success_interval[1] - found.success_interval[0])
    assert "those of one part of the list are alike" in " ".join(lines(alike))
    assert "are alike" not in " ".join(lines(found))
    assert "uploads" in " ".join(lines(found, remote_output=True))
    assert "uploads" not in " ".join(lines(found))


def test_lines_fit_a_terminal_and_escapes_are_text() -> None:
    found = estimate(
        hosts=Counter({"\x1b[31m" + "long." * 40: 900}),
        messages=Counter({"success": 700, "HTTP 404": 200, "\x1b]0;title\x07": 100}),
    )
    for line in lines(found):
        assert len(line) <= 80
        assert "\x1b" not in line
