"""Who may start, and that nobody waits for ever, as a data structure without a network."""

from __future__ import annotations

import random

from img2dataset.fetching.requests.body_memory import BodyBudget

KIB = 1024


def test_no_transfer_starts_when_the_bytes_are_spent_and_one_release_opens_it_again() -> None:
    budget = BodyBudget(100 * KIB, ready_limit=100, max_body_bytes=100 * KIB)
    assert budget.may_start(60 * KIB)
    assert not budget.may_start(60 * KIB)
    budget.delivered(60 * KIB, 50 * KIB)
    assert not budget.may_start(60 * KIB)
    assert budget.release(50 * KIB)
    assert budget.may_start(60 * KIB)


def test_a_release_nobody_waits_for_wakes_nobody() -> None:
    budget = BodyBudget(100 * KIB, ready_limit=100, max_body_bytes=100 * KIB)
    assert budget.may_start(10 * KIB)
    budget.delivered(10 * KIB, 10 * KIB)
    assert not budget.release(10 * KIB)


def test_a_body_larger_than_the_budget_gets_in_alone() -> None:
    budget = BodyBudget(100 * KIB, ready_limit=100, max_body_bytes=1000 * KIB)
    assert budget.may_start(10 * KIB)
    assert not budget.may_start(500 * KIB)
    assert not budget.grow(10 * KIB, 500 * KIB) or budget.used == 500 * KIB
    budget.cancel(budget.used)
    assert budget.may_start(500 * KIB)
    assert not budget.may_start(1)


def test_a_reservation_grows_only_into_room_that_is_free() -> None:
    budget = BodyBudget(100 * KIB, ready_limit=100, max_body_bytes=100 * KIB)
    assert budget.may_start(40 * KIB)
    assert budget.may_start(40 * KIB)
    assert budget.grow(40 * KIB, 60 * KIB)
    assert not budget.grow(40 * KIB, 60 * KIB)
    assert budget.grow(60 * KIB, 10 * KIB)
    assert budget.grow(40 * KIB, 60 * KIB)
    assert budget.used == 70 * KIB


def test_ready_bodies_are_bounded_and_then_kept_level_one_for_one() -> None:
    budget = BodyBudget(1 << 40, ready_limit=8, max_body_bytes=KIB)
    for _ in range(8):
        assert budget.may_start(KIB)
    for _ in range(8):
        budget.delivered(KIB, KIB)
    assert not budget.may_start(KIB)
    budget.release(KIB)
    assert budget.may_start(KIB)
    assert not budget.may_start(KIB), "one body was given back, so one may start"
    budget.cancel(KIB)
    assert budget.may_start(KIB), "a failure makes room for another try to keep the level"


def test_the_usual_reservation_follows_what_the_list_brings() -> None:
    budget = BodyBudget(1 << 40, ready_limit=8, max_body_bytes=10_000 * KIB)
    for _ in range(200):
        assert budget.may_start(0)
        budget.delivered(0, 5_000 * KIB)
        budget.release(5_000 * KIB)
    assert 5_000 * KIB < budget.usual_reservation() <= 6_500 * KIB


def test_whatever_the_sizes_everybody_gets_through_and_the_bound_holds() -> None:
    chance = random.Random(5)
    for _ in range(50):
        budget = BodyBudget(100, ready_limit=4, max_body_bytes=150)
        waiting = [(10, chance.randint(1, 150)) for _ in range(60)]
        running: list[tuple[int, int]] = []
        ready: list[int] = []
        steps = 0
        while waiting or running or ready:
            steps += 1
            assert steps < 20_000, "somebody waits for ever"
            assert budget.used <= 100 or len(running) + len(ready) == 1
            if waiting and len(running) < 10 and budget.may_start(waiting[0][0]):
                running.append(waiting.pop(0))
            elif running and chance.random() < 0.5:
                held, size = running.pop(chance.randrange(len(running)))
                if budget.grow(held, size):
                    budget.delivered(size, size)
                    ready.append(size)
                else:
                    budget.cancel(held)
                    waiting.insert(0, (size, size))
            elif ready:
                budget.release(ready.pop(0))
        assert (budget.used, budget.ready) == (0, 0)
