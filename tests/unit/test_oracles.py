"""The oracle on cases worked out by hand: who owns a touch, what a journey is, how it is shared, what it earned."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.oracles.credits import cent_parts, credit_units, shares
from tests.oracles.journeys import Touch
from tests.oracles.oracle import held_out, marts_of
from tests.oracles.policy import policy_of
from tests.oracles.records import claim, conversion, rate, refund, touchpoint
from tests.oracles.rounding import UNIT, half_away, ratio

POLICY = policy_of(Path(__file__).parents[2] / "dbt_project.yml")
AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


def attribution(feeds: dict[str, list], **overrides: Any) -> list[dict[str, Any]]:
    return marts_of(feeds, AS_OF, POLICY | overrides)["fct_attribution"]


def journey_of(feeds: dict[str, list], conversion_id: str = "sale", **overrides: Any) -> list[str | None]:
    rows = [row for row in attribution(feeds, **overrides) if row["conversion_id"] == conversion_id]
    return [row["touchpoint_id"] for row in sorted(rows, key=lambda row: row["touch_position"] or 0)]


def net_of(
    *, refunds: Sequence[tuple[int, datetime]] = (), rates: Sequence[tuple[str, Any]] = (), **fields: Any
) -> int | None:
    """Net revenue of one conversion at NOON; None when it is held out."""
    feeds = {
        "conversions": [conversion("sale", NOON, **fields)],
        "refunds": [refund(f"r{n}", at, cents, conversion_id="sale") for n, (cents, at) in enumerate(refunds)],
        "exchange_rates": [rate(on, value) for on, value in rates],
    }
    rows = attribution(feeds)
    waiting, _ = held_out(feeds, AS_OF, POLICY)
    assert waiting == ([] if rows else ["sale"])
    return rows[0]["revenue_cents"] if rows else None


def path(*days_before_last: float, channels: str = "") -> list[Touch]:
    """A journey of touches so many days before its last instant; channels: one letter each, d is direct."""
    names = channels or "e" * len(days_before_last)
    return [
        Touch(f"t{n}", "ann", NOON - timedelta(days=age), "direct" if letter == "d" else "email", "(none)")
        for n, (age, letter) in enumerate(zip(days_before_last, names, strict=True))
    ]


def credits_of(model: str, journey: list[Touch], **overrides: Any) -> list[Decimal]:
    return [Decimal(unit).scaleb(-12) for unit in credit_units(shares(model, journey, POLICY | overrides))]


@pytest.mark.parametrize(
    ("value", "rounded"), [("5/2", 3), ("-5/2", -3), ("249/100", 2), ("-1/3", 0), ("0", 0), ("7", 7)]
)
def test_halves_go_away_from_zero(value: str, rounded: int) -> None:
    """Prevents banker's rounding, which pays 2 where PostgreSQL's numeric pays 3."""
    assert half_away(Fraction(value)) == rounded


def test_a_ratio_is_rounded_once_to_twelve_decimals() -> None:
    """Prevents a quotient that was cut before it was rounded, and a division by zero."""
    assert ratio(2, 3) == Decimal("0.666666666667")
    assert ratio(10**15 + 1, 3) == Decimal("333333333333333.666666666667")
    assert ratio(1, 0) is None


def test_a_device_changes_hands_at_each_claim() -> None:
    """Prevents giving all touches of a shared device to its first or its last owner."""
    feeds = {
        "identities": [claim("k2", NOON, "bob"), claim("k1", NOON - timedelta(days=5), "ann")],
        "touchpoints": [
            touchpoint(name, NOON + timedelta(days=days), user_id=None, anonymous_id="phone")
            for name, days in (("before all", -6), ("at ann's", -5), ("ann's", -1), ("at bob's", 0), ("bob's", 1))
        ],
        "conversions": [conversion("sale", NOON + timedelta(days=2)), conversion("b", NOON, user_id="bob")],
    }
    assert journey_of(feeds) == ["before all", "at ann's", "ann's"]
    assert journey_of(feeds, "b") == ["at bob's"]


def test_of_claims_at_one_instant_the_greater_event_id_counts() -> None:
    """Prevents an owner that depends on the order in which claims arrived, at the first instant too."""
    claims = [claim("k9", NOON, "ann"), claim("k1", NOON, "bob")]
    for identities in (claims, claims[::-1]):
        feeds = {
            "identities": identities,
            "touchpoints": [
                touchpoint("early", NOON - timedelta(days=1), user_id=None, anonymous_id="phone"),
                touchpoint("late", NOON + timedelta(days=1), user_id="", anonymous_id="phone"),
            ],
            "conversions": [conversion("sale", NOON + timedelta(days=2))],
        }
        assert journey_of(feeds) == ["early", "late"]


def test_a_user_id_on_the_touch_wins_and_links_nothing() -> None:
    """Prevents a signed-in touch from claiming the device, or the device from claiming the touch."""
    feeds = {
        "identities": [claim("k", NOON, "bob")],
        "touchpoints": [
            touchpoint("signed in", NOON, anonymous_id="phone"),
            touchpoint("not", NOON, user_id=None, anonymous_id="phone"),
        ],
        "conversions": [conversion("sale", NOON), conversion("b", NOON, user_id="bob")],
    }
    assert journey_of(feeds) == ["signed in"]
    assert journey_of(feeds, "b") == ["not"]


def test_both_ends_of_the_lookback_count() -> None:
    """Prevents losing the touch at the instant of the conversion, or the one exactly 30 days before it."""
    tick = timedelta(microseconds=1)
    ages = {"at": timedelta(0), "after": -tick, "oldest": timedelta(days=30), "too old": timedelta(days=30) + tick}
    feeds = {
        "touchpoints": [touchpoint(name, NOON - age) for name, age in ages.items()],
        "conversions": [conversion("sale", NOON)],
    }
    assert journey_of(feeds) == ["oldest", "at"]


def test_touches_at_one_instant_stand_in_order_of_their_ids() -> None:
    """Prevents an order of touches that depends on arrival or on a locale (Z before a before é)."""
    feeds = {
        "touchpoints": [touchpoint(name, NOON) for name in ("é", "a", "Z", "10", "9")],
        "conversions": [conversion("sale", NOON)],
    }
    assert journey_of(feeds) == ["10", "9", "Z", "a", "é"]


def test_a_previous_conversion_cuts_the_journey_only_when_asked() -> None:
    """Prevents a touch from being used up twice under since_previous_conversion, or once too few by default."""
    feeds = {
        "touchpoints": [
            touchpoint(name, NOON + timedelta(days=days)) for name, days in (("t1", -1), ("t2", 0), ("t3", 1))
        ],
        "conversions": [
            conversion("sale", NOON + timedelta(days=2)),
            conversion("first", NOON),
            conversion("twin", NOON),
            conversion("another's", NOON + timedelta(days=1), user_id="bob"),
        ],
    }
    assert journey_of(feeds) == ["t1", "t2", "t3"]
    cut = {"attribution_journey_scope": "since_previous_conversion"}
    assert journey_of(feeds, **cut) == ["t3"]
    assert journey_of(feeds, "first", **cut) == ["t1", "t2"]
    assert journey_of(feeds, "twin", **cut) == [None]


def test_a_conversion_without_a_rate_still_cuts_the_next_journey() -> None:
    """Prevents a late rate from moving touches between conversions that it does not price."""
    feeds = {
        "touchpoints": [touchpoint("t", NOON)],
        "conversions": [conversion("first", NOON, currency="EUR"), conversion("sale", NOON + timedelta(days=1))],
    }
    assert journey_of(feeds, attribution_journey_scope="since_previous_conversion") == [None]


def test_a_journey_without_touches_is_one_unattributed_row() -> None:
    """Prevents a conversion that vanishes because no touch led to it."""
    (row,) = attribution({"conversions": [conversion("sale", NOON)]})
    assert (row["touchpoint_id"], row["touch_position"], row["touch_count"]) == (None, None, 0)
    assert (row["channel"], row["campaign_id"], row["calibration_id"]) == ("unattributed", "(none)", 0)
    assert {row[f"{model}_credit"] for model in ("first_touch", "linear", "position_based")} == {1}
    assert row["time_decay_revenue_cents"] == 100


def test_the_first_arrival_of_an_event_wins_even_from_the_future() -> None:
    """Prevents counting a re-sent event whose time was changed, in either direction."""
    on_time, too_late = touchpoint("t", NOON), touchpoint("t", AS_OF + timedelta(seconds=1))
    sale = [conversion("sale", NOON)]
    assert journey_of({"touchpoints": [on_time, too_late], "conversions": sale}) == ["t"]
    assert journey_of({"touchpoints": [too_late, on_time], "conversions": sale}) == [None]


@pytest.mark.parametrize(
    ("model", "channels", "expected"),
    [
        ("first_touch", "eed", [1, 0, 0]),
        ("last_touch", "eed", [0, 0, 1]),
        ("last_non_direct", "eed", [0, 1, 0]),
        ("last_non_direct", "ddd", [0, 0, 1]),
        ("last_non_direct", "dde", [0, 0, 1]),
        ("linear", "eee", ["0.333333333333", "0.333333333333", "0.333333333334"]),
        ("position_based", "eee", ["0.4", "0.2", "0.4"]),
        # Weights 1/4, 1/2, 1 at ages of two, one and no half-lives.
        ("time_decay", "eee", ["0.142857142857", "0.285714285714", "0.571428571429"]),
    ],
)
def test_each_model_on_three_touches(model: str, channels: str, expected: list) -> None:
    """Prevents a model that credits another touch than its definition says."""
    assert credits_of(model, path(14, 7, 0, channels=channels)) == [Decimal(credit) for credit in expected]


@pytest.mark.parametrize(
    ("first", "last", "count", "expected"),
    [
        (0.4, 0.4, 1, [1]),
        (0, 0, 1, [1]),
        (0.4, 0.4, 2, ["0.5", "0.5"]),
        (0.4, 0.2, 2, ["0.666666666667", "0.333333333333"]),
        (0, 0, 2, ["0.5", "0.5"]),
        (0, 1, 2, [0, 1]),
        (0, 0, 4, [0, "0.5", "0.5", 0]),
        (0.3, 0, 3, ["0.3", "0.7", 0]),
        (0.4, 0.4, 4, ["0.4", "0.1", "0.1", "0.4"]),
    ],
)
def test_position_weights_at_the_edges(first: float, last: float, count: int, expected: list) -> None:
    """Prevents a lost share when one or both outer weights are 0 or nothing lies between."""
    weights = {"attribution_first_weight": first, "attribution_last_weight": last}
    credits = credits_of("position_based", path(*range(count, 0, -1)), **weights)
    assert credits == [Decimal(credit) for credit in expected]


def test_time_decay_counts_microseconds_and_needs_no_whole_days() -> None:
    """Prevents rounding ages to days: half a day at a half-life of one day is a weight of 1 / sqrt(2)."""
    halves = credits_of("time_decay", path(0.5, 0), attribution_half_life_days=1)
    assert halves == [Decimal("0.414213562373"), Decimal("0.585786437627")]
    tick = credits_of("time_decay", path(1 / 86_400_000_000, 0), attribution_half_life_days=0.00001)
    # 1/2 - ln(2) / (4 x 864,000), one microsecond being 1/864,000 of the half-life.
    assert tick[0] == Decimal("0.499999799437")


def test_time_decay_of_very_old_touches_leaves_the_last_one_everything() -> None:
    """Prevents 0 / 0 when every weight but the last underflows."""
    assert credits_of("time_decay", path(30, 29, 0), attribution_half_life_days=0.001) == [0, 0, 1]


def test_credits_that_round_past_one_are_cut_off() -> None:
    """Prevents a negative credit: nine times 0.066666666667 and 0.4 pass 1 by 3e-12."""
    weights = {"attribution_first_weight": 0.4, "attribution_last_weight": 0}
    credits = credits_of("position_based", path(*range(11, 0, -1)), **weights)
    assert credits[-2:] == [Decimal("0.066666666664"), 0]
    assert sum(credits) == 1


@pytest.mark.parametrize(
    ("credits", "revenue", "expected"),
    [
        (["0.333333333333", "0.333333333333", "0.333333333334"], 100, [33, 34, 33]),
        (["0.5", "0.5"], 1, [1, 0]),
        (["0.25", "0.25", "0.25", "0.25"], 2, [1, 0, 1, 0]),
        (["0.333333333333", "0.333333333333", "0.333333333334"], 0, [0, 0, 0]),
        (["0", "1"], 7, [0, 7]),
    ],
)
def test_cents_are_cut_between_rounded_running_totals(credits: list[str], revenue: int, expected: list[int]) -> None:
    """Prevents cents that are rounded one by one and add up to something else than the revenue."""
    units = [int(Decimal(credit) * UNIT) for credit in credits]
    assert cent_parts(units, revenue) == expected


def test_refunds_lower_revenue_to_zero_at_most_and_from_their_own_time_on() -> None:
    """Prevents negative revenue, and a refund that is counted before it happened."""
    assert net_of(refunds=[(30, NOON), (20, AS_OF)]) == 50
    assert net_of(refunds=[(30, NOON), (900, NOON - timedelta(days=1))]) == 0
    assert net_of(refunds=[(30, AS_OF + timedelta(microseconds=1))]) == 100


def test_the_last_rate_that_is_young_enough_prices_a_conversion() -> None:
    """Prevents a rate of tomorrow, a stale rate, and a conversion that is silently worth nothing."""
    assert net_of(currency="EUR", rates=[("2026-03-21", 9), ("2026-03-18", 3), ("2026-03-19", 2)]) == 200
    assert net_of(currency="EUR", rates=[("2026-03-13", 3)]) == 300
    assert net_of(currency="EUR", rates=[("2026-03-12", 3)]) is None
    assert net_of(currency="EUR", revenue_cents=0) is None


def test_net_revenue_is_converted_once_and_halves_go_up() -> None:
    """Prevents converting revenue and refund apart: (4 - 1) x 0.5 rounds to 2 cents, 4 x 0.5 less 1 x 0.5 to 1."""
    rates = [("2026-03-20", "0.5")]
    assert net_of(currency="EUR", revenue_cents=4, refunds=[(1, NOON)], rates=rates) == 2
    assert net_of(currency="EUR", revenue_cents=3, refunds=[(2, NOON)], rates=rates) == 1


def test_the_reporting_currency_is_worth_one_whatever_a_record_says() -> None:
    """Prevents a rate record for the reporting currency from scaling every mart."""
    feeds = {
        "conversions": [conversion("sale", NOON, currency="USD")],
        "exchange_rates": [rate("2026-03-20", 2, currency="USD")],
    }
    assert attribution(feeds)[0]["revenue_cents"] == 100


@pytest.mark.parametrize(
    ("versions", "counted"),
    [
        ([("2026-03-01T00:00:00Z", 2), (None, 9), ("2026-02-01T00:00:00Z", 3)], 2),
        ([("2026-03-01T00:00:00Z", 2), ("2026-04-01T00:00:01Z", 9)], 2),
        ([(None, 2), (None, 3), (None, 1)], 3),
        ([("2026-03-01T00:00:00Z", 5), ("2026-03-01T00:00:00Z", 4)], 5),
    ],
)
def test_the_newest_version_counts_and_a_tie_is_broken_by_content(versions: list, counted: int) -> None:
    """Prevents a restated record from counting by its arrival, and one of the future from counting at all."""
    records = [rate("2026-03-20", value, updated_at=stamp) for stamp, value in versions]
    for arrived in (records, records[::-1]):
        feeds = {"conversions": [conversion("sale", NOON, currency="EUR")], "exchange_rates": arrived}
        by_rate = marts_of(feeds, AS_OF, POLICY, fingerprint=lambda _, record: bytes([record["rate"]]))
        assert by_rate["fct_attribution"][0]["revenue_cents"] == 100 * counted
