"""When AI is given a rest, and when it is tried again."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.content.breaker import NEVER_OPENED, Breaker, Outcome, Rules, State, may_call, next_state
from orchestration.policy import Policy

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
RULES = Rules.of(Policy.load(Path(__file__).parents[2] / "dbt_project.yml", {}))


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def jobs(minute: float, validated: int, failed: int = 0) -> list[Outcome]:
    return [Outcome(at(minute), True)] * validated + [Outcome(at(minute), False)] * failed


def states(outcomes: list[Outcome], minutes: list[float]) -> list[State]:
    """The state at each of these minutes, each asked once."""
    breaker, found = NEVER_OPENED, []
    for minute in minutes:
        breaker = next_state(breaker, outcomes, at(minute), RULES)
        found.append(breaker.state)
    return found


def test_the_rules_are_those_of_the_policy():
    assert Rules(60, 20, 0.9, 30, 480, 3) == RULES


@pytest.mark.parametrize(
    ("validated", "failed", "state"),
    [
        (0, 19, State.CLOSED),
        (0, 20, State.OPEN),
        (18, 2, State.CLOSED),
        (17, 3, State.OPEN),
        (27, 3, State.CLOSED),
        (26, 4, State.OPEN),
        (1000, 0, State.CLOSED),
    ],
)
def test_it_opens_below_the_floor_and_only_with_enough_jobs(validated, failed, state):
    """Prevents an AI that is switched off by its first failure, and one that goes on at 85 %."""
    assert next_state(NEVER_OPENED, jobs(0, validated, failed), at(1), RULES).state is state


def test_it_says_why_it_opened():
    breaker = next_state(NEVER_OPENED, jobs(0, 17, 3), at(1), RULES)
    assert breaker.reason == "17 of 20 jobs in 60 minutes were validated, below 90%"
    assert (breaker.since, breaker.pause_minutes) == (at(1), 30)


def test_what_is_older_than_the_window_does_not_count():
    failed = jobs(0, 0, 20)
    assert next_state(NEVER_OPENED, failed, at(59.9), RULES).state is State.OPEN
    assert next_state(NEVER_OPENED, failed, at(60), RULES).state is State.CLOSED


def test_what_is_yet_to_come_does_not_count():
    assert next_state(NEVER_OPENED, jobs(5, 0, 20), at(4), RULES).state is State.CLOSED


def test_a_bad_hour_and_its_end():
    """Open at 1, tried from 31 on, closed with the third good job; the bad hour is forgotten then."""
    outcomes = [*jobs(0, 0, 20), *jobs(32, 2), *jobs(34, 1)]
    assert states(outcomes, [1, 30, 31, 33, 35, 36]) == [
        State.OPEN, State.OPEN, State.HALF_OPEN, State.HALF_OPEN, State.CLOSED, State.CLOSED
    ]  # fmt: skip


def test_outcomes_before_the_closing_do_not_open_it_again():
    closed = Breaker(State.CLOSED, at(35), "all 3 jobs of the try were validated")
    assert next_state(closed, [*jobs(0, 0, 40), *jobs(36, 19)], at(37), RULES) == closed
    assert next_state(closed, [*jobs(0, 0, 40), *jobs(36, 17, 3)], at(37), RULES).state is State.OPEN


def test_each_failed_try_doubles_the_pause_up_to_the_longest():
    breaker, outcomes, minute, pauses = NEVER_OPENED, jobs(0, 0, 20), 1.0, []
    for _round in range(7):
        breaker = next_state(breaker, outcomes, at(minute), RULES)
        assert breaker.state is State.OPEN
        pauses.append(breaker.pause_minutes)
        early = minute + breaker.pause_minutes - 0.1
        assert next_state(breaker, outcomes, at(early), RULES) == breaker
        minute += breaker.pause_minutes
        breaker = next_state(breaker, outcomes, at(minute), RULES)
        assert breaker.state is State.HALF_OPEN
        outcomes = [*outcomes, *jobs(minute + 1, 2, 1)]
        minute += 2
    assert pauses == [30, 60, 120, 240, 480, 480, 480]


def test_after_a_good_try_the_next_pause_is_short_again():
    half = Breaker(State.HALF_OPEN, at(0), "", pause_minutes=480, probes_left=3)
    closed = next_state(half, jobs(1, 3), at(2), RULES)
    assert (closed.state, closed.pause_minutes, closed.probes_left) == (State.CLOSED, 0, 0)
    assert next_state(closed, jobs(3, 0, 20), at(4), RULES).pause_minutes == 30


def test_a_try_lets_a_few_jobs_through_and_no_more():
    """Prevents a queue of hundreds from being the try."""
    half = next_state(Breaker(State.OPEN, at(0), "", pause_minutes=30), [], at(30), RULES)
    assert [may_call(half, under_way) for under_way in range(5)] == [True, True, True, False, False]
    after_one = next_state(half, jobs(31, 1), at(32), RULES)
    assert after_one.probes_left == 2
    assert [may_call(after_one, under_way) for under_way in range(4)] == [True, True, False, False]


def test_closed_lets_any_number_through_and_open_none():
    assert may_call(NEVER_OPENED, 1000)
    assert not may_call(Breaker(State.OPEN, at(0), "", pause_minutes=30), 0)


def test_one_failure_ends_a_try_whatever_came_with_it():
    half = Breaker(State.HALF_OPEN, at(0), "", pause_minutes=30, probes_left=3)
    opened = next_state(half, jobs(1, 5, 1), at(2), RULES)
    assert (opened.state, opened.pause_minutes) == (State.OPEN, 60)
    assert opened.reason == "1 of 6 jobs of the try were not validated"


minutes = st.integers(0, 600)
histories = st.lists(st.builds(Outcome, minutes.map(at), st.booleans()), max_size=120)


@given(histories, st.lists(minutes, min_size=1, max_size=30).map(sorted))
def test_it_is_never_closed_while_too_few_are_validated(outcomes, asked):
    """Whatever happened: where it says closed, the jobs that count are too few or good enough."""
    breaker = NEVER_OPENED
    for minute in asked:
        breaker = next_state(breaker, outcomes, at(minute), RULES)
        if breaker.state is State.CLOSED:
            window = [one for one in outcomes if max(breaker.since, at(minute - 60)) < one.at <= at(minute)]
            good = sum(one.is_validated for one in window)
            assert len(window) < 20 or 10 * good >= 9 * len(window)
        assert (breaker.pause_minutes == 0) == (breaker.state is State.CLOSED)
        assert (breaker.probes_left > 0) == (breaker.state is State.HALF_OPEN)


@given(histories, st.randoms(use_true_random=False), st.lists(minutes, min_size=1, max_size=10).map(sorted))
def test_the_order_of_outcomes_does_not_matter(outcomes, chance: random.Random, asked):
    """Jobs that end at the same time are read in any order."""
    shuffled = list(outcomes)
    chance.shuffle(shuffled)
    one = other = NEVER_OPENED
    for minute in asked:
        one, other = next_state(one, outcomes, at(minute), RULES), next_state(other, shuffled, at(minute), RULES)
        assert one == other
