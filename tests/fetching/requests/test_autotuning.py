"""How many transfers are in flight when nobody has said; decided without a network."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from img2dataset.fetching.requests.autotuning import SMALLEST, AdaptiveConcurrency, Interval
from img2dataset.fetching.settings import MOST_TRANSFERS


def simulate(capacity_of: float, concurrency: AdaptiveConcurrency, seconds: int = 120) -> int:
    """A network that answers each request in half a second, up to so many a second."""
    for _ in range(seconds):
        rate = min(concurrency.limit / 0.5, capacity_of)
        concurrency.decide(Interval(bodies=int(rate), full=True, starved=True), 1.0)
    return concurrency.limit


def test_it_rises_while_more_transfers_bring_more() -> None:
    assert simulate(capacity_of=1e9, concurrency=AdaptiveConcurrency(64)) == MOST_TRANSFERS


def test_it_stays_about_where_more_bring_nothing() -> None:
    assert 100 <= simulate(capacity_of=200, concurrency=AdaptiveConcurrency(16)) <= 200


def test_it_does_not_rise_while_the_pixels_are_what_is_slow() -> None:
    concurrency = AdaptiveConcurrency(64)
    for _ in range(50):
        concurrency.decide(Interval(bodies=100, full=True, starved=False), 1.0)
    assert concurrency.limit == 64


def test_it_does_not_rise_while_slots_are_free() -> None:
    concurrency = AdaptiveConcurrency(64)
    for _ in range(50):
        concurrency.decide(Interval(bodies=100, full=False, starved=True), 1.0)
    assert concurrency.limit == 64


def test_it_falls_when_a_rise_brings_failures() -> None:
    concurrency = AdaptiveConcurrency(256)
    concurrency.decide(Interval(bodies=100, failures=4, full=True), 1.0)
    for _ in range(3):
        concurrency.decide(Interval(bodies=60, failures=60, full=True), 1.0)
    assert concurrency.limit < 128


def test_a_list_that_always_fails_much_is_no_reason_to_fall() -> None:
    """Half of an old list's hosts are gone, however few are asked at once."""
    concurrency = AdaptiveConcurrency(256)
    for _ in range(50):
        concurrency.decide(Interval(bodies=50, failures=50, full=True), 1.0)
    assert concurrency.limit == 256


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.booleans(), st.booleans()), max_size=200
    ),
    st.integers(1, 5000),
)
def test_it_never_leaves_its_bounds(history: list[tuple[int, int, bool, bool]], start: int) -> None:
    concurrency = AdaptiveConcurrency(start)
    for bodies, failures, full, starved in history:
        limit = concurrency.decide(Interval(bodies, failures, full, starved), 1.0)
        assert min(SMALLEST, start) <= limit <= max(MOST_TRANSFERS, start)
