"""The arithmetic of quality: shifts, changes, and when freshness is news."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.candidate import candidate_suites
from expectations.raw import Measure, load_suites
from expectations.raw.loads import Kind
from orchestration.ingest.records import FEEDS
from orchestration.policy import Policy
from orchestration.quality.changes import fall, relative_change, rise
from orchestration.quality.freshness import RETELL_AFTER, freshness_of, news
from orchestration.quality.plausibility import EarlierLoad, History, NewLoad, figures_of, shift

PROJECT_FILE = Path(__file__).parents[2] / "dbt_project.yml"
POLICY = Policy.load(PROJECT_FILE, {})
NOW = datetime(2026, 4, 1, tzinfo=UTC)
MIXES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1)


def load(**changed) -> NewLoad:
    return NewLoad(**{
        "load_id": 99, "feed": "f", "records_read": 1000, "inserted": 1000, "conflicting": 0, "quarantined": 0,
        "earliest_at": NOW, **changed,
    })  # fmt: skip


def profile(records=1000, **measured):
    return {"records": records, "mix": {}, "most_of_one": {}, "amounts": {}, "after_arrival": 0, **measured}


def past(*profiles, oldest_at=NOW) -> History:
    loads = [EarlierLoad(number, one["records"], one) for number, one in enumerate(profiles)]
    return History(loads, oldest_at)


@given(MIXES, MIXES)
def test_a_shift_is_a_distance_between_0_and_1(one, other):
    assert 0 <= shift(one, other) <= 1 + 1e-12
    assert shift(one, other) == pytest.approx(shift(other, one))
    assert shift(one, one) == 0


@given(MIXES, st.integers(2, 9))
def test_a_shift_looks_at_shares_and_not_at_sizes(mix, times):
    assert shift(mix, {category: count * times for category, count in mix.items()}) == pytest.approx(0)


def test_a_shift_is_the_share_that_would_have_to_change():
    assert shift({"a": 50, "b": 50}, {"a": 3, "b": 1}) == pytest.approx(0.25)
    assert shift({"a": 1}, {"b": 7}) == 1


def test_a_load_is_compared_with_the_earlier_load_that_it_resembles_most():
    """Files of one mailing each are all alike another such file, though none is like their sum."""
    sent, opened = {"sent": 1000}, {"opened": 1000}
    history = past(*[profile(mix={"event_type": one}) for one in (sent, opened) * POLICY.history_min_loads])
    measures = [Measure(Kind.MIX, "event_type")]
    for mix, expected in ((sent, 0.0), (opened, 0.0), ({"bounced": 1000}, 1.0), ({"sent": 750, "bounced": 250}, 0.25)):
        figures = figures_of(load(), profile(mix={"event_type": mix}), history, measures, POLICY)
        assert figures.values["event_type_shift"] == pytest.approx(expected)


def test_small_earlier_loads_are_no_baseline_of_a_mix():
    history = past(*[profile(records=POLICY.load_min_mix_records - 1, mix={"c": {"x": 1}})] * 20)
    figures = figures_of(load(), profile(mix={"c": {"y": 1000}}), history, [Measure(Kind.MIX, "c")], POLICY)
    assert figures.unjudged["c_shift"] == "no_baseline"


@pytest.mark.parametrize(
    ("sizes", "records", "ratio"),
    [
        ([100] * 9, 300, 3),
        ([1] * 9, 500, 500 / POLICY.load_min_records),
        ([100] * 8 + [5000], 4000, 4),
    ],
)
def test_volume_is_measured_by_what_is_usual(sizes, records, ratio):
    """Neither a tiny feed's busy hour nor a monthly mailing among daily files is a jump in volume."""
    history = past(*[profile(records=size) for size in sizes])
    figures = figures_of(load(inserted=records), profile(records=records), history, [], POLICY)
    assert figures.values["volume_ratio"] == pytest.approx(ratio)


def test_a_load_may_be_younger_than_all_before_but_reaches_back_in_days():
    history = past(*[profile()] * 9)
    for days, reached in ((5, 0), (-5, 5)):
        figures = figures_of(load(earliest_at=NOW + timedelta(days=days)), profile(), history, [], POLICY)
        assert figures.values["backdated_days"] == reached


def test_changes_are_shares_of_what_was_published():
    assert relative_change(200.0, 150.0) == relative_change(200.0, 250.0) == 0.25
    assert relative_change(200.0, None) == 1
    assert [relative_change(nothing, 5.0) for nothing in (None, 0.0)] == [None, None]
    assert [fall(200.0, now) for now in (150.0, 250.0, None)] == [0.25, 0.0, 1.0]
    assert rise((10, 100), (30, 100), least=100) == pytest.approx(0.2)
    assert rise((10, 99), (30, 100), least=100) is None
    assert rise((10, 100), (0, 0), least=100) is None


def test_a_feed_is_late_only_when_it_ever_sent():
    states = freshness_of({"users": NOW - timedelta(hours=27), "refunds": NOW - timedelta(hours=26)}, NOW, 26)
    assert [(state.feed, state.late) for state in states] == [("refunds", False), ("users", True)]


def test_freshness_is_told_when_it_changes_and_now_and_then():
    """Each evaluation is an event in storage: a sensor that tells the same every minute fills it."""
    fresh = freshness_of({"users": NOW, "refunds": NOW}, NOW, 26)
    told, cursor = news(fresh, None, NOW)
    assert told == fresh
    assert news(fresh, cursor, NOW + timedelta(minutes=5)) == ([], cursor)

    late = freshness_of({"users": NOW - timedelta(days=2), "refunds": NOW}, NOW, 26)
    told, cursor = news(late, cursor, NOW + timedelta(minutes=10))
    assert [state.feed for state in told] == ["users"]
    assert news(late, cursor, NOW + timedelta(minutes=15)) == ([], cursor)
    assert news(late, cursor, NOW + RETELL_AFTER)[0] == late
    told, _ = news(fresh, cursor, NOW + timedelta(minutes=20))
    assert [(state.feed, state.late) for state in told] == [("users", False)]


def test_freshness_is_told_again_after_a_load():
    """Dagster shows what was told of an asset before its newest materialisation as not evaluated."""
    _, cursor = news(freshness_of({"users": NOW, "refunds": NOW}, NOW, 26), None, NOW)
    later = NOW + timedelta(minutes=5)
    told, _ = news(freshness_of({"users": later, "refunds": NOW}, later, 26), cursor, later)
    assert [state.feed for state in told] == ["users"]


def test_every_feed_and_every_mart_has_a_suite(candidate_models):
    """A table without a suite would be published unseen."""
    assert set(load_suites(POLICY)) == set(FEEDS)
    assert set(candidate_suites(POLICY)) == candidate_models


@pytest.fixture
def candidate_models():
    return {path.stem for path in (PROJECT_FILE.parent / "dbt_project/models/marts").glob("**/*.sql")}


def test_suites_measure_columns_that_their_feeds_have():
    for feed, suite in load_suites(POLICY).items():
        assert {measure.column for measure in suite.measures} <= set(FEEDS[feed].columns)


def test_bounds_come_from_the_policy():
    """A bound written into a suite could not be moved by those who run it."""
    changed = {
        "LOAD_MAX_QUARANTINED_SHARE": "0.011", "LOAD_MAX_CONFLICTING_SHARE": "0.012", "LOAD_MAX_VOLUME_RATIO": "13",
        "LOAD_MAX_BACKDATED_DAYS": "14", "LOAD_MAX_FUTURE_SHARE": "0.015", "LOAD_MAX_MIX_SHIFT": "0.16",
        "LOAD_MAX_ONE_PERSON_SHARE": "0.017", "LOAD_MAX_RECORD_CENTS": "18", "LOAD_MAX_AMOUNT_RATIO": "19",
        "LOAD_MAX_RATE_CHANGE": "1.1",
    }  # fmt: skip
    suites = load_suites(Policy.load(PROJECT_FILE, changed)).values()
    bounds = {expectation.kwargs["max_value"] for suite in suites for expectation in suite.expectations}
    assert bounds == {float(value) for value in changed.values()}
