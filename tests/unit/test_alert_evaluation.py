"""What rules say of time series."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.alerts.evaluation import Change, Sample, Standing, State, Verdict, evaluate, verdict_of
from orchestration.alerts.rules import Rule
from tests.oracles.alerts import changes

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOW = Rule.model_validate(
    {
        "name": "k_low",
        "summary": "K is low",
        "metric": "k",
        "below": 1.2,
        "clear_at": 1.3,
        "for": "2m",
        "keep_firing": "3m",
        "severity": "warning",
        "channels": ["slack"],
        "owner": "Marketing",
        "runbook": "docs/viral-playbook.md",
    }
)


def at(minute: float) -> datetime:
    return START + minute * MINUTE


def series(*values: float | None, start: int = 0) -> list[Sample]:
    """A sample a minute; None: taken, but without a value."""
    return [Sample(at(start + minute), value) for minute, value in enumerate(values)]


def states(rule: Rule, samples: list[Sample], minutes: int) -> list[str]:
    """The state in each minute, what was stored being carried along, as the engine does it."""
    standing, found = Standing(), []
    for minute in range(minutes):
        told = evaluate(
            rule, [sample for sample in samples if sample.at >= at(minute) - rule.looks_back], standing, at(minute)
        )
        standing = told.standing
        found.append(told.state.value)
    return found


def test_it_fires_after_for_and_is_over_after_keep_firing():
    """Prevents a page for one bad sample, and an all-clear for one good one."""
    samples = series(1.4, 1.1, 1.1, 1.1, 1.1, 1.25, 1.3, 1.1, 1.3, 1.4, 1.4, 1.4, 1.4)
    assert states(LOW, samples, 13) == [
        "inactive",
        *["pending"] * 2,
        *["firing"] * 3,
        "recovering",
        "firing",
        *["recovering"] * 3,
        *["inactive"] * 2,
    ]  # fmt: skip


def test_a_break_begins_the_wait_again():
    assert states(LOW, series(1.1, 1.1, 1.25, 1.1, 1.1, 1.1), 6) == [
        "pending", "pending", "inactive", "pending", "pending", "firing"
    ]  # fmt: skip


def test_the_threshold_itself_is_no_breach_and_its_clearance_is_enough():
    assert verdict_of(LOW, Sample(START, 1.2)) is Verdict.BETWEEN
    assert verdict_of(LOW, Sample(START, 1.3)) is Verdict.CLEAR
    above = LOW.model_copy(update={"below": None, "above": 5.0, "clear_at": None})
    assert [verdict_of(above, Sample(START, value)) for value in (4.9, 5.0, 5.1)] == [
        Verdict.CLEAR, Verdict.CLEAR, Verdict.BREACH
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        (Sample(START, 1.0, low=0.8, high=1.19), Verdict.BREACH),
        (Sample(START, 1.0, low=0.8, high=1.2), Verdict.BETWEEN),
        (Sample(START, 1.35, low=1.1, high=1.5), Verdict.CLEAR),
        (Sample(START, 1.0), Verdict.TOO_FEW),
    ],
)
def test_an_interval_must_be_beyond_the_threshold_as_a_whole(sample: Sample, verdict: Verdict):
    """Prevents a page for noise; without an interval nobody knows whether it is."""
    assert verdict_of(LOW.model_copy(update={"by_interval": True}), sample) is verdict


@pytest.mark.parametrize("sample", [Sample(START, 0.5, size=99), Sample(START, 0.5, size=None)])
def test_too_few_or_immature_data_decide_nothing(sample: Sample):
    few = LOW.model_copy(update={"min_sample": 100})
    assert verdict_of(few, sample) is Verdict.TOO_FEW
    assert verdict_of(few, replace(sample, size=100)) is Verdict.BREACH
    young = LOW.model_copy(update={"min_maturity": 0.2})
    assert verdict_of(young, replace(sample, maturity=0.19)) is Verdict.TOO_FEW
    assert verdict_of(young, replace(sample, maturity=0.2)) is Verdict.BREACH


def test_what_says_too_little_is_evidence_of_neither():
    """Prevents one small sample, or one failed read, that hides a fall for another `for`."""
    few = LOW.model_copy(update={"min_sample": 100})
    samples = [replace(sample, size=500) for sample in series(1.1, 1.1, 1.1, 1.4, 1.4, 1.4, 1.4)]
    samples[1] = replace(samples[1], size=3)
    samples[4] = replace(samples[4], value=None, error="no answer")
    assert states(few, samples, 7) == [*["pending"] * 2, "firing", *["recovering"] * 3, "inactive"]
    alone = [samples[0], *(replace(samples[1], at=at(minute)) for minute in range(1, 7))]
    assert states(few, alone, 7) == ["pending"] * 7


def test_silence_of_the_data_is_told_once_and_told_to_be_over():
    """Prevents an alert that stays quiet because nothing measures any more."""
    rule = LOW.model_copy(update={"stale_after": 3 * MINUTE})
    assert states(rule, series(1.4, 1.4) + series(1.4, start=8), 9) == [
        *["inactive"] * 5, *["stale"] * 3, "inactive"
    ]  # fmt: skip
    standing, told = Standing(), []
    for minute in range(10):
        found = evaluate(rule, series(1.4, 1.4) + series(1.4, start=8), standing, at(minute))
        standing = found.standing
        told += [(transition.change, transition.at) for transition in found.transitions]
    assert told == [(Change.DATA_LOST, at(5)), (Change.DATA_BACK, at(8))]


def test_a_firing_rule_goes_on_firing_when_its_data_come_back_bad():
    rule = LOW.model_copy(update={"stale_after": 3 * MINUTE})
    samples = series(1.1, 1.1, 1.1) + series(1.1, start=9)
    assert states(rule, samples, 10) == [
        *["pending"] * 2, *["firing"] * 4, *["stale"] * 3, "firing"
    ]  # fmt: skip


def test_samples_without_a_value_and_errors_are_told_after_a_while():
    rule = LOW.model_copy(update={"no_data_after": 2 * MINUTE})
    assert states(rule, series(1.4, None, None, None, 1.4), 5) == [
        "inactive", "inactive", "inactive", "no_data", "inactive"
    ]  # fmt: skip
    broken = [Sample(at(minute), error="no such table") for minute in range(1, 4)]
    assert states(rule, series(1.4) + broken, 4)[-1] == "error"


def test_before_the_first_sample_nothing_is_missed_and_what_is_lost_stays_lost():
    """Prevents an alert from an installation that has not begun."""
    rule = LOW.model_copy(update={"no_data_after": 2 * MINUTE, "stale_after": MINUTE})
    assert evaluate(rule, [], Standing(), START).state is State.NO_DATA
    assert evaluate(rule, [], Standing(), START).transitions == ()
    lost = Standing(data=State.STALE, data_since=START)
    assert evaluate(rule, [], lost, at(9)).standing == lost


def test_nobody_misses_what_could_never_be_judged():
    """Prevents a page on the second day of a company that sends no campaigns."""
    rule = LOW.model_copy(update={"no_data_after": 2 * MINUTE})
    never = [Sample(at(minute)) for minute in range(10)]
    found = evaluate(rule, never, Standing(), at(9))
    assert (found.state, found.transitions) == (State.NO_DATA, ())
    once = evaluate(rule, [Sample(at(-1), 1.4), *never], Standing(), at(9))
    assert [change.change.value for change in once.transitions] == ["data_lost"]


def test_time_without_samples_is_no_evidence():
    """Prevents a page in the morning for two readings with a night between them."""
    assert states(LOW, series(1.1, start=0) + series(1.1, 1.1, 1.1, start=60), 63)[60:] == [
        "pending",
        "pending",
        "firing",
    ]


def test_a_clock_that_was_ahead_for_a_while_deafens_no_rule():
    ahead = Standing(is_firing=True, fired_at=at(900), settled_at=at(900), decided_at=at(0))
    healthy = series(*[1.4] * 9, start=0)
    found = evaluate(LOW, healthy, ahead, at(9))
    assert [change.change.value for change in found.transitions] == ["resolved"]


def test_samples_of_the_future_do_not_count():
    assert states(LOW, series(1.4, start=0) + series(1.1, 1.1, 1.1, start=60), 3) == ["inactive"] * 3


GAPS = st.lists(st.sampled_from((0.5, 1, 1, 2, 5)), min_size=1, max_size=25)
VALUES = st.sampled_from((1.0, 1.0, 1.1, 1.25, 1.3, 1.5, 1.5, None))


@given(gaps=GAPS, data=st.data())
def test_it_fires_and_resolves_when_the_oracle_says(gaps: list[float], data: st.DataObject):
    """Evaluated at each sample, at some, or once: the same changes at the same times, and those of the oracle."""
    samples, minute = [], 0.0
    for gap in gaps:
        minute += gap
        samples.append(Sample(at(minute), data.draw(VALUES)))
    said = [(sample.at, verdict_of(LOW, sample).value) for sample in samples]
    expected = changes(said, wait=LOW.for_, keep=LOW.keep_firing)
    chosen = data.draw(st.sets(st.sampled_from(range(len(samples)))))
    for looks in (range(len(samples)), sorted({*chosen, len(samples) - 1})):
        standing, told = Standing(), []
        for look in looks:
            now = samples[look].at
            seen = [sample for sample in samples if sample.at >= now - LOW.looks_back]
            found = evaluate(LOW, data.draw(st.permutations(seen)), standing, now)
            assert not evaluate(LOW, seen, found.standing, now).transitions
            standing = found.standing
            told += [(transition.change.value, transition.at) for transition in found.transitions]
        assert told == expected
