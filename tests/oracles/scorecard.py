"""The scorecard: each goal, its value, its target, whether it is met, and the days that it covers."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from tests.oracles.attribution import UNATTRIBUTED, Row
from tests.oracles.campaigns import Deliveries
from tests.oracles.feeds import Feeds, visible_events
from tests.oracles.policy import Policy, headline_model, number, span
from tests.oracles.rounding import ratio
from tests.oracles.viral import headline_cohorts, last_mature_cohort

MICROSECOND = timedelta(microseconds=1)


def scorecard(
    attribution: Sequence[Row],
    feeds: Feeds,
    by_channel: Sequence[Row],
    by_channel_roi: Sequence[Row],
    deliveries: Deliveries,
    cohorts: Sequence[Row],
    as_of: datetime,
    policy: Policy,
) -> list[Row]:
    """Five rows. A value is None exactly when the status is no_data; periods include both their days.

    The present day of an as_of at midnight is the day before: so the periods cover whole days there.
    """
    return [
        _viral_coefficient(cohorts, as_of, policy),
        _campaign_conversion_rate(deliveries, as_of, policy),
        *_quarter(by_channel, by_channel_roi, as_of, policy),
        _attribution_accuracy(attribution, feeds, as_of, policy),
    ]


def _viral_coefficient(cohorts: Sequence[Row], as_of: datetime, policy: Policy) -> Row:
    """Pooled over the latest viral_window_days calendar days whose whole cohort is H old."""
    last_on = last_mature_cohort(as_of, policy)
    first_on = last_on - timedelta(days=int(number(policy, "viral_window_days")) - 1)
    joins, users = headline_cohorts(cohorts, first_on, last_on)
    value = ratio(joins, users) if users >= number(policy, "viral_min_users") else None
    return _row(
        "viral_coefficient", ">", value, _target(policy, "viral_coefficient_target"), (first_on, last_on), as_of
    )


def _campaign_conversion_rate(deliveries: Deliveries, as_of: datetime, policy: Policy) -> Row:
    """Pooled over first deliveries of the campaign_headline_days that end where maturity begins."""
    headline, window = span(policy, "campaign_headline_days"), span(policy, "campaign_conversion_window_days")
    end = as_of - window
    period = (end - headline).astimezone(UTC).date(), (end - MICROSECOND).astimezone(UTC).date()
    target = _target(policy, "campaign_conversion_rate_target")
    return _row("campaign_conversion_rate", ">", ratio(*deliveries.pooled(headline)), target, period, as_of)


def _quarter(by_channel: Sequence[Row], by_channel_roi: Sequence[Row], as_of: datetime, policy: Policy) -> list[Row]:
    """Attributed revenue and ROI of the scorecard_period_days up to as_of: all cost, revenue without `unattributed`.

    Revenue has no data when no conversion of the period was attributed or left unattributed; ROI without cost.
    """
    end_on = (as_of - MICROSECOND).astimezone(UTC).date()
    start_on = end_on - timedelta(days=int(number(policy, "scorecard_period_days")) - 1)
    model = headline_model(policy)

    def in_period(row: Row) -> bool:
        return row["attribution_model"] == model and start_on <= row["date"] <= end_on

    credited = [row for row in by_channel if in_period(row)]
    revenue_cents = sum(row["revenue_cents"] for row in credited if row["channel"] != UNATTRIBUTED)
    cost_cents = sum(row["cost_cents"] for row in by_channel_roi if in_period(row))
    return [
        _row(
            "attributed_revenue_cents",
            ">=",
            ratio(revenue_cents, 1) if credited else None,
            _target(policy, "attributed_revenue_target_cents"),
            (start_on, end_on),
            as_of,
        ),
        _row(
            "marketing_roi_pct",
            ">",
            ratio((revenue_cents - cost_cents) * 100, cost_cents),
            _target(policy, "marketing_roi_target_pct"),
            (start_on, end_on),
            as_of,
        ),
    ]


def _attribution_accuracy(attribution: Sequence[Row], feeds: Feeds, as_of: datetime, policy: Policy) -> Row:
    """1 - half the sum over channels of |share of credit - share of truth| under the headline model, over conversions
    of the period with a touch whose channel a survey knows; no data where there are too few."""
    end_on = (as_of - MICROSECOND).astimezone(UTC).date()
    start_on = end_on - timedelta(days=int(number(policy, "attribution_accuracy_days")) - 1)
    answers = {
        record["conversion_id"]: record["channel"]
        for record in visible_events(feeds, "attribution_truth", as_of)
        if record["method"] == "survey" and record["channel"] != "none"
    }
    judged = [
        row
        for row in attribution
        if row["touch_count"] and start_on <= row["converted_on"] <= end_on and row["conversion_id"] in answers
    ]
    conversions = {row["conversion_id"] for row in judged}
    apart: dict[str, Fraction] = defaultdict(Fraction)
    for row in judged:
        apart[row["channel"]] += Fraction(row[f"{headline_model(policy)}_credit"])
    for conversion in conversions:
        apart[answers[conversion]] -= 1
    value = None
    if len(conversions) >= number(policy, "attribution_accuracy_min_conversions"):
        value = ratio(2 * len(conversions) - sum(map(abs, apart.values())), 2 * len(conversions))
    target = _target(policy, "attribution_accuracy_target")
    return _row("attribution_accuracy", ">=", value, target, (start_on, end_on), as_of)


def _target(policy: Policy, name: str) -> Decimal:
    return Decimal(str(policy[name]))


def _row(
    metric: str,
    comparison: str,
    value: Decimal | None,
    target: Decimal,
    period: tuple[date, date] | None,
    as_of: datetime,
) -> Row:
    if value is None:
        status = "no_data"
    else:
        status = "met" if value > target or (comparison == ">=" and value == target) else "missed"
    start_on, end_on = period or (None, None)
    return {
        "metric": metric,
        "value": value,
        "target": target,
        "comparison": comparison,
        "status": status,
        "period_start_on": start_on,
        "period_end_on": end_on,
        "as_of": as_of,
    }
