"""The clocks of a transfer, driven by hand: no test here waits."""

from __future__ import annotations

from collections.abc import Callable

from img2dataset.fetching.http.clocks import TransferClocks

TIMEOUT_S, MINIMUM = 10.0, 1000


def cut(
    count_at: Callable[[float], int], sent_at: float | None = 0.0, deadline: float = 60.0
) -> tuple[str | None, float]:
    """How and when a transfer with ``count_at(now)`` bytes is cut, looked at 4 times a second."""
    clocks = TransferClocks(TIMEOUT_S, MINIMUM)
    clocks.deadline = deadline
    for tick in range(1000):
        now = tick / 4
        failure = clocks.check(now, count_at(now), sent_at)
        if failure:
            return failure, now
    return None, now


def test_silence_after_the_request_is_cut_after_the_timeout() -> None:
    assert cut(lambda now: 0, sent_at=3.0) == ("timeout: silence", 13.0)


def test_connecting_is_not_silence() -> None:
    assert cut(lambda now: 0, sent_at=None) == ("timeout: deadline", 60.0)


def test_silence_within_an_answer_is_cut_after_the_timeout() -> None:
    failure, when = cut(lambda now: 50_000 if now >= 5 else 0)
    assert (failure, when) == ("timeout: silence", 15.0)


def test_a_drip_is_cut_as_soon_as_a_silence_would_be() -> None:
    failure, when = cut(lambda now: int(now * 10))
    assert failure == "timeout: too slow"
    assert TIMEOUT_S <= when <= 1.25 * TIMEOUT_S + 1


def test_a_drip_that_follows_a_fast_start_is_cut_too() -> None:
    failure, when = cut(lambda now: int(min(now, 5) * 1_000_000 + now * 10))
    assert failure == "timeout: too slow"
    assert 5 + TIMEOUT_S <= when <= 5 + 1.25 * TIMEOUT_S + 1


def test_a_slow_but_sufficient_answer_lives_until_the_deadline() -> None:
    assert cut(lambda now: int(now * 1100)) == ("timeout: deadline", 60.0)


def test_bursts_with_pauses_below_the_timeout_live() -> None:
    failure, when = cut(lambda now: int(now // 9) * 20_000 + 1, deadline=200.0)
    assert (failure, when) == ("timeout: deadline", 200.0)


def test_time_in_which_the_program_stood_still_is_not_counted() -> None:
    clocks = TransferClocks(TIMEOUT_S, MINIMUM)
    clocks.deadline = 60.0
    assert clocks.check(1.0, 100, 0.0) is None
    clocks.shift(100.0)
    assert clocks.check(101.5, 100, 0.0) is None
    assert clocks.check(111.5, 100, 0.0) == "timeout: silence"
