"""The scorecard: each goal, its value, its target, whether it is met, and the days that it covers."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.oracles.attribution import UNATTRIBUTED, Row
from tests.oracles.campaigns import Deliveries
from tests.oracles.policy import Policy, headline_model, number, span
from tests.oracles.rounding import ratio
from tests.oracles.viral import headline_cohorts, last_mature_cohort

MICROSECOND = timedelta(microseconds=1)


def scorecard(
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
        _row("attribution_accuracy", ">=", None, _target(policy, "attribution_accuracy_target"), None, as_of),
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
