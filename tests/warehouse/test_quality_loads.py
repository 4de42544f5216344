"""Loads that no build has published: the implausible ones are held, and no others."""

from datetime import timedelta

import pytest

from orchestration.policy import Policy
from orchestration.quality.loads import judge_loads
from orchestration.warehouse import ledger
from tests.arrivals import NOW, RATES_FROM, conversion, open_build, publish, rate, send, status_of, touchpoint
from tests.engine import PROJECT_FILE

POLICY = Policy.load(PROJECT_FILE, {"LOAD_MAX_VOLUME_RATIO": "3"})
SIZE = POLICY.load_min_mix_records
GOOD = {"touchpoints": (touchpoint, SIZE), "conversions": (conversion, SIZE), "exchange_rates": (rate, 5)}


@pytest.fixture(scope="module")
def seasoned(module_warehouse):
    """A warehouse with just enough published loads of three feeds to compare new ones with."""
    for _ in range(POLICY.history_min_loads):
        for feed, (record, count) in GOOD.items():
            send(module_warehouse, feed, record, count)
    build_id = open_build(module_warehouse)
    verdicts = judge_loads(module_warehouse, build_id, POLICY)
    assert not any(verdict.held for verdict in verdicts)
    publish(module_warehouse, build_id)
    return module_warehouse


def judge(warehouse):
    """Verdicts by load of a new build, whose plausible loads then count as published."""
    build_id = open_build(warehouse)
    verdicts = {verdict.load_id: verdict for verdict in judge_loads(warehouse, build_id, POLICY)}
    publish(warehouse, build_id)
    return verdicts


POISON = {
    "quarantined_share": {"feed": "conversions", "quarantined": SIZE},
    "conflicting_share": {"feed": "conversions", "conflicting": SIZE // 10},
    "volume_ratio": {"feed": "touchpoints", "count": 4 * SIZE},
    "backdated_days": {"feed": "touchpoints", "earliest_at": NOW.replace(year=1970)},
    "future_share": {"feed": "touchpoints", "occurred_at": (NOW + timedelta(hours=5)).isoformat()},
    "channel_shift": {"feed": "touchpoints", "channel": "unknown"},
    "interaction_shift": {"feed": "touchpoints", "interaction": "impression"},
    "one_user_id_share": {"feed": "touchpoints", "user_id": "undefined"},
    "conversion_type_shift": {"feed": "conversions", "conversion_type": "renewal"},
    "largest_revenue_cents": {"feed": "conversions", "count": 1, "revenue_cents": 100_000_001},
    "typical_revenue_cents_ratio": {"feed": "conversions", "revenue_cents": 30},
    "rate_change": {"feed": "exchange_rates", "rate_on": str(RATES_FROM + timedelta(days=5)), "count": 1, "rate": 0.5},
}


@pytest.mark.parametrize("figure", POISON)
def test_a_load_that_breaks_one_expectation_is_held_and_its_neighbour_is_not(seasoned, figure):
    """Prevents a suite that never fails, and one that takes the good with the bad."""
    poison = dict(POISON[figure])
    feed = poison.pop("feed")
    record, count = GOOD[feed]
    before = send(seasoned, feed, record, count)
    poisoned = send(seasoned, feed, record, poison.pop("count", count), **poison)
    after = send(seasoned, feed, record, count)

    verdicts = judge(seasoned)

    assert [breach.finding.expectation.column for breach in verdicts[poisoned].breaches] == [figure]
    assert {load: status_of(seasoned, load) for load in (before, poisoned, after)} == {
        before: "loaded",
        poisoned: "held",
        after: "loaded",
    }


def test_without_earlier_loads_volume_and_drift_are_not_judged(warehouse):
    """A first import is large and unlike anything: it must not have to be waved through by hand."""
    load = send(warehouse, "conversions", conversion, 3 * SIZE, earliest_at=NOW.replace(year=1990))
    (verdict,) = judge_loads(warehouse, open_build(warehouse), POLICY)
    assert verdict.load_id == load
    assert not verdict.held
    without_baseline = {figure for figure, why in verdict.unjudged.items() if why == "no_baseline"}
    assert without_baseline == {
        "volume_ratio",
        "backdated_days",
        "conversion_type_shift",
        "currency_shift",
        "typical_revenue_cents_ratio",
    }


def test_what_needs_no_history_is_judged_from_the_first_load_on(warehouse):
    load = send(warehouse, "conversions", conversion, SIZE, quarantined=SIZE, user_id="undefined")
    (verdict,) = judge_loads(warehouse, open_build(warehouse), POLICY)
    assert status_of(warehouse, load) == "held"
    assert {one.finding.expectation.column for one in verdict.breaches} == {"quarantined_share", "one_user_id_share"}


def test_small_loads_are_not_judged_by_their_shares(seasoned):
    """One bad record of three would hold them all, and one mailing is of one type by nature."""
    load = send(seasoned, "touchpoints", touchpoint, 3, quarantined=3, channel="unknown", user_id="u-1")
    verdict = judge(seasoned)[load]
    assert not verdict.held
    assert {verdict.unjudged[figure] for figure in ("quarantined_share", "channel_shift", "one_user_id_share")} == {
        "too_few_records"
    }


def test_an_accepted_load_is_not_judged_again_and_others_may_be_like_it(seasoned):
    """Otherwise accepting it would hold it once more in the next build, and the next of its kind for ever."""
    new_channel = {"channel": "billboard"}
    load = send(seasoned, "touchpoints", touchpoint, SIZE, **new_channel)
    assert judge(seasoned)[load].held
    with seasoned.connect() as connection:
        ledger.accept(connection, load)
    assert load not in judge(seasoned)
    assert status_of(seasoned, load) == "accepted"
    alike = send(seasoned, "touchpoints", touchpoint, SIZE, **new_channel)
    assert not judge(seasoned)[alike].held


def test_a_load_that_takes_over_the_rows_of_a_held_one_is_judged_with_them(seasoned):
    """The same wrong export sent twice, a byte apart: the second owns nothing until the first is held."""
    wrong = send(seasoned, "conversions", conversion, SIZE, revenue_cents=30)
    again = send(seasoned, "conversions", conversion, 0)
    with seasoned.connect() as connection:
        connection.execute(
            """
            insert into raw.shadowed (feed, load_id, owner_load_id, record)
            select
                'conversions', %(again)s, load_id,
                jsonb_set(to_jsonb(sent), '{load_id}', to_jsonb(%(again)s::bigint))
            from raw.conversions as sent
            where load_id = %(wrong)s
            """,
            {"wrong": wrong, "again": again},
        )
        connection.execute(
            "update raw.loads set records_read = %s, duplicate = %s where load_id = %s", [SIZE, SIZE, again]
        )
    judge(seasoned)
    assert [status_of(seasoned, load) for load in (wrong, again)] == ["held", "held"]


def test_amounts_are_compared_in_the_reporting_currency(seasoned):
    """Cents of yen are a hundred times as many as cents of euros, and mean the same."""
    send(seasoned, "exchange_rates", rate, 1, currency="JPY", rate=0.01)
    judge(seasoned)
    fine = send(seasoned, "conversions", conversion, SIZE, revenue_cents=300_000, currency="JPY")
    wrong = send(seasoned, "conversions", conversion, SIZE, revenue_cents=300_000, currency="EUR")
    verdicts = judge(seasoned)
    columns = {load: {one.finding.expectation.column for one in verdicts[load].breaches} for load in (fine, wrong)}
    assert columns == {fine: {"currency_shift"}, wrong: {"currency_shift", "typical_revenue_cents_ratio"}}


def test_a_wrong_rate_does_not_make_amounts_look_wrong(seasoned):
    """Its load is held before amounts are worked out, so the good load beside it is not taken with it."""
    send(seasoned, "exchange_rates", rate, 1, rate_on=str(RATES_FROM + timedelta(days=98)))
    judge(seasoned)
    wrong = send(seasoned, "exchange_rates", rate, 1, rate_on=str(RATES_FROM + timedelta(days=99)), rate=1_000_000)
    fine = send(seasoned, "conversions", conversion, SIZE)
    verdicts = judge(seasoned)
    assert (verdicts[wrong].held, verdicts[fine].held) == (True, False)


def test_nothing_of_a_person_is_in_a_verdict(seasoned):
    """It is shown in the UI, and kept there long after an erasure."""
    load = send(
        seasoned, "conversions", conversion, SIZE, user_id="u-victim", revenue_cents=200_000_000, quarantined=SIZE
    )
    verdict = judge(seasoned)[load]
    assert len(verdict.breaches) == 4
    assert {name for breach in verdict.breaches for record in breach.records for name in record} == {
        "conversion_id",
        "revenue_cents",
    }
    assert "u-victim" not in repr(verdict)


def test_a_verdict_says_what_was_found_and_what_was_expected(seasoned):
    load = send(seasoned, "touchpoints", touchpoint, SIZE, channel="email")
    reason = judge(seasoned)[load].reason
    assert reason.startswith("at most 70 % of a load would have to change channel")
    assert "(load_max_mix_shift): found 75 % (email 100%; load " in reason
    assert "direct 25%, email 25%" in reason
    with seasoned.connect() as connection:
        assert connection.execute("select reason from raw.loads where load_id = %s", [load]).fetchone()[0] == reason
