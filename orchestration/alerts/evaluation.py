"""[pure] What a rule says of samples: (rule, samples, standing, now) -> state and transitions.

A standing is what is stored: whether the rule fires, and whether its data can be judged. Everything that is on its way
(pending, recovering) is read again from the samples, so that only what somebody must hear of is ever written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .rules import Rule


class State(StrEnum):
    """What a rule is in, as shown. silenced stands for any of them while a silence holds."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NO_DATA = "no_data"
    STALE = "stale"
    ERROR = "error"
    SILENCED = "silenced"


class Verdict(StrEnum):
    """What one sample says. between: neither beyond the threshold nor clear of it."""

    BREACH = "breach"
    BETWEEN = "between"
    CLEAR = "clear"
    TOO_FEW = "too_few"
    NO_VALUE = "no_value"
    ERROR = "error"


DECIDED = frozenset({Verdict.BREACH, Verdict.BETWEEN, Verdict.CLEAR})


class Change(StrEnum):
    """What somebody must hear of."""

    FIRED = "fired"
    RESOLVED = "resolved"
    DATA_LOST = "data_lost"
    DATA_BACK = "data_back"


@dataclass(frozen=True)
class Sample:
    """A measurement. low, high: ends of its 95 % interval; size: what it rests on (users, recipients, jobs); maturity:
    0 to 1. error: why it could not be taken. run_id: the Dagster run that it speaks of. label: what of, or why not."""

    at: datetime
    value: float | None = None
    low: float | None = None
    high: float | None = None
    size: int | None = None
    maturity: float | None = None
    error: str | None = None
    run_id: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Standing:
    """is_firing since fired_at; data: State.NO_DATA, STALE or ERROR since data_since, None while it can be judged.

    settled_at: time of the last change of is_firing; older samples have had their say. decided_at: of the first sample
    that could be judged; of a rule that never could nobody is told that it cannot.
    """

    is_firing: bool = False
    fired_at: datetime | None = None
    settled_at: datetime | None = None
    data: State | None = None
    data_since: datetime | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True)
class Transition:
    """One change, with the sample that made it; None where samples stayed away."""

    change: Change
    at: datetime
    state: State
    sample: Sample | None


@dataclass(frozen=True)
class Evaluation:
    """state: as shown, silences aside. since: when what is on its way began (pending, recovering), or what holds.
    latest: the newest sample; verdict: what it says."""

    state: State
    since: datetime | None
    standing: Standing
    transitions: tuple[Transition, ...]
    latest: Sample | None
    verdict: Verdict | None


def verdict_of(rule: Rule, sample: Sample) -> Verdict:
    """What one sample says of a rule's thresholds."""
    if sample.error is not None:
        return Verdict.ERROR
    if sample.value is None:
        return Verdict.NO_VALUE
    if (sample.size or 0) < rule.min_sample or (sample.maturity or 0.0) < rule.min_maturity:
        return Verdict.TOO_FEW
    sign = 1 if rule.comparison == "above" else -1
    nearest = sample.value
    if rule.by_interval:
        nearest = sample.low if rule.comparison == "above" else sample.high
        if nearest is None:
            return Verdict.TOO_FEW
    if sign * nearest > sign * rule.threshold:
        return Verdict.BREACH
    return Verdict.CLEAR if sign * sample.value <= sign * rule.clears_at else Verdict.BETWEEN


def evaluate(rule: Rule, samples: Iterable[Sample], standing: Standing, now: datetime) -> Evaluation:
    """samples: of rule.looks_back before now at least, in any order; those after now do not count.

    It fires with the sample by which all of the last `for` were in breach, and is over with the one by which all of the
    last keep_firing were clear; one that says too little is evidence of neither, and ends no run of others. A longer
    time without any ends it. To evaluate again changes nothing, and to evaluate at each sample ends as evaluating once
    does.
    """
    known = sorted((sample for sample in samples if sample.at <= now), key=lambda sample: sample.at)
    verdicts = [verdict_of(rule, sample) for sample in known]
    transitions: list[Transition] = []
    run_since = run_until = None
    decided = (sample.at for sample, verdict in zip(known, verdicts, strict=True) if verdict in DECIDED)
    standing = replace(standing, decided_at=standing.decided_at or next(decided, None))
    # A clock that was ahead for a while has left a time that is still to come.
    settled_at = None if standing.settled_at is None or standing.settled_at > now else standing.settled_at
    for sample, verdict in zip(known, verdicts, strict=True):
        if settled_at is not None and sample.at <= settled_at:
            continue
        wanted, wait = (Verdict.CLEAR, rule.keep_firing) if standing.is_firing else (Verdict.BREACH, rule.for_)
        if verdict not in DECIDED:
            continue
        if verdict is not wanted:
            run_since = None
            continue
        if run_since is None or sample.at - run_until > wait:
            run_since = sample.at
        run_until = sample.at
        if sample.at - run_since >= wait:
            run_since = None
            if standing.is_firing:
                transitions.append(Transition(Change.RESOLVED, sample.at, State.INACTIVE, sample))
                standing = replace(standing, is_firing=False, fired_at=None, settled_at=sample.at)
            else:
                transitions.append(Transition(Change.FIRED, sample.at, State.FIRING, sample))
                standing = replace(standing, is_firing=True, fired_at=sample.at, settled_at=sample.at)

    latest, verdict = (known[-1], verdicts[-1]) if known else (None, None)
    # Before the first sample nobody knows; where the last one was deleted, what was known holds.
    lost, lost_since = _lost(rule, known, verdicts, now) if known else (standing.data, standing.data_since)
    if standing.decided_at is None and standing.data is None:
        lost = None
    if lost is not None and standing.data is not None:
        # Another reason for the same is no news.
        lost = standing.data
    if lost is not None and standing.data is None:
        transitions.append(Transition(Change.DATA_LOST, now, lost, latest))
    if lost is None and standing.data is not None:
        back = State.FIRING if standing.is_firing else State.INACTIVE
        transitions.append(Transition(Change.DATA_BACK, now, back, latest))
    since = (standing.data_since or lost_since) if lost is not None else None
    standing = replace(standing, data=lost, data_since=since)
    state, shown_since = _shown(standing, run_since)
    return Evaluation(state, shown_since, standing, tuple(transitions), latest, verdict)


def _lost(
    rule: Rule, known: list[Sample], verdicts: list[Verdict], now: datetime
) -> tuple[State | None, datetime | None]:
    """Why the data cannot be judged, and since when; (None, None) while it can, or could a moment ago."""
    newest = known[-1]
    if rule.stale_after is not None and now - newest.at > rule.stale_after:
        return State.STALE, newest.at + rule.stale_after
    if verdicts[-1] in DECIDED or rule.no_data_after is None:
        return None, None
    silent_since = newest.at
    for sample, verdict in zip(reversed(known), reversed(verdicts), strict=True):
        if verdict in DECIDED:
            break
        silent_since = sample.at
    if now - silent_since < rule.no_data_after:
        return None, None
    return (State.ERROR if verdicts[-1] is Verdict.ERROR else State.NO_DATA), silent_since


def _shown(standing: Standing, run_since: datetime | None) -> tuple[State, datetime | None]:
    if standing.data is not None:
        return standing.data, standing.data_since
    if standing.decided_at is None:
        return State.NO_DATA, None
    if standing.is_firing:
        return (State.RECOVERING, run_since) if run_since else (State.FIRING, standing.fired_at)
    return (State.PENDING, run_since) if run_since else (State.INACTIVE, standing.settled_at)
