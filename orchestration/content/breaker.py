"""[pure] Whether AI may be called: closed (yes), open (no, for a while), half open (a few jobs, to see).

What is stored is one Breaker; next_state is asked before each job, and takes at most one step: called again at the same
time with the same outcomes it says the same, or goes on from there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from ..policy import Policy


class State(StrEnum):
    """What a breaker is in."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class Outcome:
    """Of one job that called a model: when it ended, and whether what came of it was validated."""

    at: datetime
    is_validated: bool


@dataclass(frozen=True)
class Breaker:
    """since: when it came into its state; reason: why, for people.

    pause_minutes: how long it stays open, or was before it was half opened; 0 while closed. probes_left: how many jobs
    of a try are still to end; 0 but while half open.
    """

    state: State
    since: datetime
    reason: str
    pause_minutes: int = 0
    probes_left: int = 0


@dataclass(frozen=True)
class Rules:
    """The policy's numbers of these names. floor: the validated share below which it opens."""

    window_minutes: int
    min_jobs: int
    floor: float
    pause_minutes: int
    longest_pause_minutes: int
    probes: int

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Those in force."""
        return cls(
            policy.content_breaker_window_minutes,
            policy.content_breaker_min_jobs,
            policy.ai_success_floor,
            policy.content_breaker_pause_minutes,
            policy.content_breaker_longest_pause_minutes,
            policy.content_breaker_probes,
        )


NEVER_OPENED = Breaker(State.CLOSED, datetime.min.replace(tzinfo=UTC), "nothing has failed yet")


def next_state(breaker: Breaker, outcomes: Iterable[Outcome], now: datetime, rules: Rules) -> Breaker:
    """The breaker at this time. outcomes: at least those since breaker.since, or in the window; in any order.

    Outcomes up to breaker.since are of another state, and do not count; nor do those after now. An outcome that ends
    while it is half open counts as one of a try, whenever its job began.
    """
    counted = [outcome for outcome in outcomes if breaker.since < outcome.at <= now]
    match breaker.state:
        case State.CLOSED:
            return _from_closed(breaker, counted, now, rules)
        case State.OPEN:
            return _from_open(breaker, now, rules)
        case State.HALF_OPEN:
            return _from_half_open(breaker, counted, now, rules)


def may_call(breaker: Breaker, probes_under_way: int) -> bool:
    """Whether one more job may call the model. probes_under_way: jobs begun since it was half opened, not ended."""
    return breaker.state is State.CLOSED or probes_under_way < breaker.probes_left


def _from_closed(breaker: Breaker, outcomes: list[Outcome], now: datetime, rules: Rules) -> Breaker:
    recent = [outcome for outcome in outcomes if now - outcome.at < timedelta(minutes=rules.window_minutes)]
    validated = sum(outcome.is_validated for outcome in recent)
    if len(recent) < rules.min_jobs or validated / len(recent) >= rules.floor:
        return breaker
    share = f"{validated} of {len(recent)} jobs in {rules.window_minutes} minutes"
    return Breaker(State.OPEN, now, f"{share} were validated, below {rules.floor:.0%}", rules.pause_minutes)


def _from_open(breaker: Breaker, now: datetime, rules: Rules) -> Breaker:
    if now - breaker.since < timedelta(minutes=breaker.pause_minutes):
        return breaker
    reason = f"{rules.probes} jobs are tried after {breaker.pause_minutes} minutes"
    return Breaker(State.HALF_OPEN, now, reason, breaker.pause_minutes, rules.probes)


def _from_half_open(breaker: Breaker, outcomes: list[Outcome], now: datetime, rules: Rules) -> Breaker:
    if failed := sum(not outcome.is_validated for outcome in outcomes):
        pause = min(2 * breaker.pause_minutes, rules.longest_pause_minutes)
        return Breaker(State.OPEN, now, f"{failed} of {len(outcomes)} jobs of the try were not validated", pause)
    if len(outcomes) >= rules.probes:
        return Breaker(State.CLOSED, now, f"all {len(outcomes)} jobs of the try were validated")
    return replace(breaker, probes_left=rules.probes - len(outcomes))
