"""The oracle's rollups on cases worked out by hand: campaigns, returns and the scorecard."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.oracles.oracle import marts_of
from tests.oracles.policy import headline_model, policy_of
from tests.oracles.records import conversion, mail, spend, touchpoint, user

POLICY = policy_of(Path(__file__).parents[2] / "dbt_project.yml")
AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def days_ago(days: float) -> datetime:
    return AS_OF - timedelta(days=days)


def mart(table: str, feeds: dict[str, list], **overrides: Any) -> list[dict[str, Any]]:
    return marts_of(feeds, AS_OF, POLICY | overrides)[table]


def performance(feeds: dict[str, list], campaign: str = "spring") -> dict[str, Any]:
    return {row["campaign_id"]: row for row in mart("campaign_performance", feeds)}[campaign]


def score(metric: str, feeds: dict[str, list], **overrides: Any) -> dict[str, Any]:
    return {row["metric"]: row for row in mart("scorecard", feeds, **overrides)}[metric]


def test_recipients_are_counted_once_and_by_address_not_by_spelling() -> None:
    """Prevents opens from passing deliveries because one reader opened twice or wrote in capitals."""
    at = days_ago(3)
    events = [mail("delivered", "ann", at), mail("opened", "ann", at), mail("opened", "ann", at + TICK)]
    events.append(mail("opened", "ann", at + 2 * TICK) | {"recipient_email": " ANN@Mail.example "})
    row = performance({"campaign_events": events})
    assert (row["delivered"], row["opened"], row["open_rate"]) == (1, 1, 1)


def test_a_rate_counts_only_recipients_with_both_facts() -> None:
    """Prevents a rate above 1 from opens, or deliveries, whose counterpart never arrived."""
    at = days_ago(3)
    events = [mail("sent", "ann", at), mail("sent", "bob", at), mail("delivered", "bob", at)]
    events += [mail("delivered", "eve", at), mail("opened", "eve", at), mail("opened", "joe", at)]
    row = performance({"campaign_events": events})
    assert (row["sent"], row["delivered"], row["opened"]) == (2, 2, 2)
    assert (row["delivery_rate"], row["open_rate"], row["click_rate"]) == (Decimal("0.5"), Decimal("0.5"), 0)


def test_a_described_campaign_without_events_has_counts_but_no_rates() -> None:
    """Prevents a division by zero, and a new campaign that looks like a failure."""
    campaign = {"campaign_id": "new", "name": "New", "channel": "email", "status": "draft"}
    row = performance({"campaigns": [campaign | {"updated_at": days_ago(1).isoformat()}]}, "new")
    assert (row["campaign_name"], row["campaign_status"], row["sent"]) == ("New", "draft", 0)
    assert {row[name] for name in ("delivery_rate", "open_rate", "click_rate", "conversion_rate")} == {None}


@pytest.mark.parametrize(
    ("delivered_days_ago", "converted_after_days", "matured", "converted"),
    [(30, 0, 1, 1), (30, 30, 1, 1), (29.9, 1, 0, 0), (40, 30.1, 1, 0), (40, -0.1, 1, 0)],
)
def test_a_delivery_matures_when_its_window_is_over(
    delivered_days_ago: float, converted_after_days: float, matured: int, converted: int
) -> None:
    """Prevents judging a delivery that still has time, and counting conversions outside its window."""
    at = days_ago(delivered_days_ago)
    row = performance(
        {
            "campaign_events": [mail("delivered", "ann", at), mail("delivered", "ann", at + timedelta(days=5))],
            "users": [user("ann", days_ago(80))],
            "conversions": [conversion("c", at + timedelta(days=converted_after_days))],
        }
    )
    assert (row["matured_delivered"], row["converted"]) == (matured, converted)
    assert row["conversion_rate"] == (converted if matured else None)


def test_a_conversion_without_a_rate_still_converts_its_campaign() -> None:
    """Prevents a missing exchange rate from changing a number that holds no money."""
    feeds = {
        "campaign_events": [mail("delivered", "ann", days_ago(40))],
        "users": [user("ann", days_ago(80))],
        "conversions": [conversion("c", days_ago(39), currency="CHF")],
    }
    assert performance(feeds)["converted"] == 1
    assert mart("fct_attribution", feeds) == []


def test_every_model_shows_the_same_channels() -> None:
    """Prevents a channel from missing under the models that gave it nothing."""
    at = days_ago(5)
    feeds = {
        "touchpoints": [touchpoint("t1", at - TICK, channel="email"), touchpoint("t2", at, channel="direct")],
        "conversions": [conversion("c", at), conversion("d", at, conversion_type="trial")],
    }
    rows = mart("attribution_by_channel", feeds)
    assert Counter(row["channel"] for row in rows) == {"email": 6, "direct": 6}
    first = {row["channel"]: row for row in rows if row["attribution_model"] == "first_touch"}
    assert (first["direct"]["conversions"], first["direct"]["revenue_cents"]) == (0, 0)
    assert (first["email"]["conversions"], first["email"]["signups"], first["email"]["revenue_cents"]) == (2, 1, 200)


def test_channel_roi_keeps_cost_without_revenue_and_revenue_without_cost() -> None:
    """Prevents an inner join from hiding the channels that earned nothing or cost nothing."""
    at = datetime(2026, 3, 10, 9, tzinfo=UTC)
    feeds = {
        "touchpoints": [touchpoint("t1", at, channel="email"), touchpoint("t2", at, user_id="bob", channel="social")],
        "conversions": [
            conversion("c1", at, revenue_cents=1000),
            conversion("c2", at, user_id="bob"),
            conversion("c3", at, user_id="bob", conversion_type="renewal"),
        ],
        "ad_spend": [
            spend("2026-03-10", "email", 250),
            spend("2026-03-10", "email", 50, campaign_id="spring"),
            spend("2026-03-10", "billboard", 700),
            spend("2026-03-11", "email", 40),
            spend("2026-03-10", "email", 999, currency="CHF", campaign_id="held out"),
        ],
    }
    rows = {
        (row["date"].day, row["channel"]): row
        for row in mart("channel_roi", feeds)
        if row["attribution_model"] == "linear"
    }
    figures = ("cost_cents", "revenue_cents", "roi_pct", "roas", "cac_cents")
    assert {key: tuple(row[name] for name in figures) for key, row in rows.items()} == {
        (10, "email"): (300, 1000, Decimal("233.333333333333"), Decimal("3.333333333333"), 300),
        (10, "social"): (0, 200, None, None, None),
        (10, "billboard"): (700, 0, -100, 0, None),
        (11, "email"): (40, 0, -100, 0, None),
    }


def test_campaign_roi_puts_spend_without_a_campaign_under_none() -> None:
    """Prevents spend that names no campaign from being lost, and days from being kept apart."""
    at = datetime(2026, 3, 10, 9, tzinfo=UTC)
    feeds = {
        "touchpoints": [touchpoint("t1", at, channel="email", campaign_id="spring")],
        "conversions": [conversion("c1", at), conversion("c2", at + timedelta(days=1))],
        "ad_spend": [
            spend("2026-03-01", "email", 40, campaign_id="spring"),
            spend("2026-03-02", "social", 60, campaign_id="spring"),
            spend("2026-03-01", "email", 7),
            spend("2026-03-01", "social", 8),
        ],
    }
    rows = [row for row in mart("campaign_roi", feeds) if row["attribution_model"] == "last_touch"]
    figures = [(row["campaign_id"], row["cost_cents"], row["revenue_cents"], row["cac_cents"]) for row in rows]
    assert figures == [("(none)", 15, 0, None), ("spring", 100, 200, 50)]


def test_restated_spend_replaces_what_was_said_before() -> None:
    """Prevents adding the versions of one day's cost."""
    said = [spend("2026-03-10", "email", 100), spend("2026-03-10", "email", 80, updated_at="2026-03-12T00:00:00Z")]
    assert {row["cost_cents"] for row in mart("channel_roi", {"ad_spend": said})} == {80}


def test_the_roi_summary_averages_only_the_campaigns_credited_that_day() -> None:
    """Prevents campaigns with no credit or no mature delivery from moving the mean, and `(none)` from counting."""
    at = days_ago(2)
    feeds = {
        "users": [user("ann", days_ago(80))],
        "campaign_events": [
            mail("delivered", "ann", days_ago(50), campaign="spring"),
            mail("delivered", "eve", days_ago(50), campaign="spring"),
            mail("delivered", "ann", days_ago(1), campaign="young"),
            mail("delivered", "ann", days_ago(50), campaign="idle"),
        ],
        "touchpoints": [
            touchpoint("t1", at, channel="email", campaign_id="spring"),
            touchpoint("t2", at, channel="email", campaign_id="young"),
            touchpoint("t3", at, user_id="bob", channel="email"),
        ],
        "conversions": [
            conversion("c0", days_ago(45), revenue_cents=5),
            conversion("c1", at, revenue_cents=1001),
            conversion("c2", at, user_id="bob", revenue_cents=100),
            conversion("c3", at, user_id="nobody", revenue_cents=77),
        ],
    }
    assert mart("marketing_roi_summary", feeds) == [
        {"date": date(2026, 2, 15), "revenue": 0, "campaigns": 0, "avg_conversion": None},
        {"date": date(2026, 3, 30), "revenue": Decimal("11.01"), "campaigns": 2, "avg_conversion": Decimal("0.5")},
    ]


def test_the_quarter_counts_all_cost_and_no_unattributed_revenue() -> None:
    """Prevents a scorecard that claims revenue no touch led to, or leaves out spend without a campaign."""
    inside, outside = datetime(2025, 12, 31, tzinfo=UTC), datetime(2025, 12, 30, 23, tzinfo=UTC)
    feeds = {
        "touchpoints": [touchpoint("t1", outside, channel="email")],
        "conversions": [
            conversion("c1", inside, revenue_cents=900),
            conversion("c2", outside, revenue_cents=50_000),
            conversion("c3", inside, user_id="bob", revenue_cents=70_000),
        ],
        "ad_spend": [spend("2025-12-31", "email", 150), spend("2026-03-31", "billboard", 50, campaign_id="spring")],
    }
    revenue, roi = score("attributed_revenue_cents", feeds), score("marketing_roi_pct", feeds)
    assert (revenue["value"], revenue["status"]) == (900, "missed")
    assert (roi["value"], roi["status"], roi["comparison"]) == (350, "met", ">")
    assert (roi["period_start_on"], roi["period_end_on"]) == (date(2025, 12, 31), date(2026, 3, 31))
    assert score("marketing_roi_pct", feeds, marketing_roi_target_pct=350)["status"] == "missed"
    assert score("attributed_revenue_cents", feeds, attributed_revenue_target_cents=900)["status"] == "met"


def test_a_scorecard_without_data_says_so_in_every_row() -> None:
    """Prevents an empty warehouse from reporting zeros as if they were measured."""
    rows = mart("scorecard", {})
    assert [row["metric"] for row in rows] == [
        "attributed_revenue_cents",
        "attribution_accuracy",
        "campaign_conversion_rate",
        "marketing_roi_pct",
        "recent_campaign_conversion_rate",
        "viral_coefficient",
        "viral_days_above_target",
    ]
    assert {(row["value"], row["status"], row["as_of"]) for row in rows} == {(None, "no_data", AS_OF)}


def test_a_recent_recipient_counts_with_what_shows_at_that_age() -> None:
    """Prevents campaigns that look worse the younger they are."""
    feeds = {
        "users": [user(name, days_ago(150)) for name in ("ann", "bob", "cid")],
        "conversions": [
            conversion("c1", days_ago(58), user_id="ann"),
            conversion("c2", days_ago(50), user_id="bob"),
            conversion("c3", days_ago(3), user_id="cid"),
            conversion("known up to now", AS_OF, user_id="of no campaign"),
        ],
        "campaign_events": [
            mail("delivered", "ann", days_ago(60)),
            mail("delivered", "bob", days_ago(60)),
            *(mail("delivered", name, days_ago(5)) for name in ("cid", "dan", "eve", "fay")),
            mail("delivered", "kim", days_ago(10)),
        ],
    }
    # Half of the conversions come within 5 days, all within 10: 4 recipients of the one age and 1 of the other are 3.
    row = score("recent_campaign_conversion_rate", feeds, campaign_recent_min_recipients=1)
    assert (row["value"], row["maturity"], row["users"]) == (Decimal("0.333333333333"), Decimal("0.600000000000"), 5)


def test_the_campaign_headline_pools_recipients_of_a_quarter_before_maturity() -> None:
    """Prevents a mean of rates, in which a campaign of one recipient weighs as much as one of a thousand."""
    at = days_ago(60)
    feeds = {
        "users": [user("ann", days_ago(150))],
        "conversions": [conversion("c", at)],
        "campaign_events": [
            mail("delivered", "ann", at, campaign="small"),
            mail("delivered", "bob", at, campaign="large"),
            mail("delivered", "joe", days_ago(120) + TICK, campaign="large"),
            mail("delivered", "eve", days_ago(120), campaign="large"),
            mail("delivered", "kim", days_ago(30) + TICK, campaign="large"),
        ],
    }
    row = score("campaign_conversion_rate", feeds)
    assert (row["value"], row["status"]) == (Decimal("0.333333333333"), "missed")
    assert (row["period_start_on"], row["period_end_on"]) == (date(2025, 12, 2), date(2026, 3, 1))


def test_the_headline_model_must_have_a_column() -> None:
    """Prevents a headline that silently speaks of another model than the policy names."""
    assert headline_model({"attribution_model": "multi_touch"}) == "position_based"
    assert headline_model({"attribution_model": "linear"}) == "linear"
    assert headline_model({"attribution_model": "data_driven"}) == "position_based"
    promoted = {"calibration": {"calibration_id": 3}}
    assert headline_model({"attribution_model": "multi_touch", **promoted}) == "data_driven"
    assert headline_model({"attribution_model": "linear", **promoted}) == "linear"
    with pytest.raises(ValueError, match="simulated"):
        headline_model({"attribution_model": "simulated"})
