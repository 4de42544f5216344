"""The scorecard: each goal, its value, its target, whether it is met, and the days that it covers."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from tests.oracles.attribution import UNATTRIBUTED, Row
from tests.oracles.campaigns import Deliveries
from tests.oracles.feeds import Feeds, visible_events
from tests.oracles.policy import Policy, headline_model, number, span
from tests.oracles.rounding import DECIMALS, ratio
from tests.oracles.viral import Referrals
from tests.oracles.viral_replay import Rules, User, headline

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def scorecard(
    attribution: Sequence[Row],
    feeds: Feeds,
    by_channel: Sequence[Row],
    by_channel_roi: Sequence[Row],
    deliveries: Deliveries,
    as_of: datetime,
    policy: Policy,
) -> list[Row]:
    """Five rows, those of the viral coefficient left out. A value is None exactly when the status is no_data; periods
    include both their days.

    The present day of an as_of at midnight is the day before: so the periods cover whole days there.
    """
    return [
        _campaign_conversion_rate(deliveries, as_of, policy),
        _recent_campaign_conversion_rate(deliveries, as_of, policy),
        *_quarter(by_channel, by_channel_roi, as_of, policy),
        _attribution_accuracy(attribution, feeds, as_of, policy),
    ]


def viral_goals(referrals: Referrals, now: Row, as_of: datetime, policy: Policy) -> list[Row]:
    """K over the cohorts of the headline `now`, and on how many of the latest days it was above its target.

    A past day is seen from its end; without a K on each of them there is no number of days.
    """
    last_on = (as_of - MICROSECOND).astimezone(UTC).date()
    target, wanted = _target(policy, "viral_coefficient_target"), int(number(policy, "viral_days_above_target"))
    seen = [now["viral_coefficient"]]
    for back in range(1, wanted):
        midnight = datetime.combine(last_on - timedelta(days=back - 1), datetime.min.time(), UTC)
        seen.append(_k_at(referrals, midnight, policy))
    days = None if None in seen else ratio(sum(k > target for k in seen), 1)
    first_on = last_on - timedelta(days=wanted - 1)
    period = now["period_start_on"], now["period_end_on"]
    return [
        _row("viral_coefficient", ">", now["viral_coefficient"], target, period, as_of),
        _row("viral_days_above_target", ">=", days, Decimal(wanted), (first_on, last_on), as_of),
    ]


def _k_at(referrals: Referrals, midnight: datetime, policy: Policy) -> Fraction | None:
    places = {user_id: place for place, user_id in enumerate(referrals.users)}
    users = []
    for user_id, user in referrals.users.items():
        join = referrals.joins.get(user_id)
        above = join.inviter if join is not None and join.rejected is None else None
        is_after = above is not None and above.joined_at <= user.joined_at
        users.append(
            User(
                Fraction((user.joined_at - EPOCH) // MICROSECOND, 3_600_000_000),
                places[above.user_id] if is_after else None,
                0,
                join is not None and join.is_net,
            )
        )
    rules = Rules(
        int(number(policy, "viral_horizon_days")),
        int(number(policy, "viral_window_days")),
        int(number(policy, "viral_lag_fit_days")),
        number(policy, "viral_min_maturity"),
    )
    said, _days = headline(users, Fraction((midnight - EPOCH) // timedelta(hours=1)), rules)
    return said.k if said.users >= number(policy, "viral_min_users") else None


def _campaign_conversion_rate(deliveries: Deliveries, as_of: datetime, policy: Policy) -> Row:
    """Pooled over first deliveries of the campaign_headline_days that end where maturity begins."""
    headline, window = span(policy, "campaign_headline_days"), span(policy, "campaign_conversion_window_days")
    end = as_of - window
    period = (end - headline).astimezone(UTC).date(), (end - MICROSECOND).astimezone(UTC).date()
    target = _target(policy, "campaign_conversion_rate_target")
    pooled = deliveries.pooled(headline)
    row = _row("campaign_conversion_rate", ">", ratio(*pooled), target, period, as_of)
    least = int(number(policy, "campaign_interval_min_campaigns"))
    low, high = _rate_interval(list(deliveries.by_campaign(headline).values()), least)
    return row | {"low": low, "high": high, "users": pooled[1] or None}


def _rate_interval(campaigns: Sequence[tuple[int, int]], least: int) -> tuple[Decimal | None, Decimal | None]:
    """95 % interval of a pooled rate, campaigns (converted, recipients) being drawn: by how it moves without each."""
    if len(campaigns) < least:
        return None, None
    converted = sum(own for own, _matured in campaigns)
    recipients = sum(matured for _converted, matured in campaigns)
    rate = Fraction(converted, recipients)
    moved = [Fraction(converted - own, recipients - matured) - rate for own, matured in campaigns]
    variance = Fraction(len(campaigns) - 1, len(campaigns)) * sum(one**2 for one in moved)
    return _bounds(ratio(rate, 1), variance, [matured for _converted, matured in campaigns])


def _bounds(told: Decimal, variance: Fraction, sizes: Sequence[int]) -> tuple[Decimal, Decimal]:
    """Student's interval, its degrees of freedom being those of campaigns of these sizes."""
    freedom = max(Fraction(sum(sizes) ** 2, sum(size**2 for size in sizes)) - 1, Fraction(3))
    with localcontext(prec=60):
        z, nu = Decimal("1.959963984540054"), Decimal(freedom.numerator) / Decimal(freedom.denominator)
        terms = (
            z,
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        )
        unit = Decimal(1).scaleb(-DECIMALS)
        quantile = sum(term.quantize(unit, ROUND_HALF_EVEN) / nu**power for power, term in enumerate(terms))
        wide = quantile * (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
        bounds = max(told - wide, Decimal(0)), max(told, min(told + wide, Decimal(1)))
        low, high = (bound.quantize(unit, ROUND_HALF_UP) for bound in bounds)
    return low, high


def _recent_campaign_conversion_rate(deliveries: Deliveries, as_of: datetime, policy: Policy) -> Row:
    """Conversions so far of young recipients over the sum of F(age), the age being up to the latest conversion known.

    F: the share of conversions that come within that time, by those whose window is over.
    """
    recent = span(policy, "campaign_recent_days")
    seen_at = deliveries.seen_at or as_of
    period = (seen_at - recent).astimezone(UTC).date(), (seen_at - MICROSECOND).astimezone(UTC).date()
    lags, young = deliveries.lags(span(policy, "campaign_headline_days")), deliveries.young(recent)
    all_lags = [lag for own in lags.values() for lag in own]
    shown = {
        campaign: [Fraction(sum(lag <= age for lag in all_lags), len(all_lags)) if all_lags else None for age, _ in own]
        for campaign, own in young.items()
    }
    recipients = sum(map(len, young.values()))
    value = maturity = low = high = None
    if all_lags and recipients:
        exposure = sum(sum(shares) for shares in shown.values())
        maturity = ratio(exposure, recipients)
        converted = sum(is_converted for own in young.values() for _age, is_converted in own)
        if exposure >= number(policy, "campaign_recent_min_recipients"):
            value = ratio(converted, exposure)
            low, high = _recent_interval(deliveries, shown, young, lags, Fraction(converted) / exposure, value, policy)
    target = _target(policy, "campaign_conversion_rate_target")
    row = _row("recent_campaign_conversion_rate", ">", value, target, period, as_of)
    return row | {"low": low, "high": high, "maturity": maturity, "users": recipients or None}


def _recent_interval(
    deliveries: Deliveries,
    shown: dict[str, list[Fraction]],
    young: dict[str, list[tuple[timedelta, bool]]],
    lags: dict[str, list[timedelta]],
    rate: Fraction,
    told: Decimal,
    policy: Policy,
) -> tuple[Decimal | None, Decimal | None]:
    """95 %: how campaigns differ beyond chance (of those whose windows are over), chance, and how F may be wrong."""
    history = deliveries.by_campaign(span(policy, "campaign_headline_days"))
    campaigns = len(history)
    if campaigns < number(policy, "campaign_interval_min_campaigns"):
        return None, None
    correction = Fraction(campaigns, campaigns - 1)
    recipients = sum(matured for _converted, matured in history.values())
    usual = Fraction(sum(converted for converted, _matured in history.values()), recipients)
    apart = sum((converted - usual * matured) ** 2 for converted, matured in history.values()) * correction
    by_chance = usual * (1 - usual) * recipients
    between = max((apart - by_chance) / sum(matured**2 for _converted, matured in history.values()), Fraction(0))
    exposure = sum(sum(shares) for shares in shown.values())
    of_campaigns = between * sum(sum(shares) ** 2 for shares in shown.values())
    # A recipient has converted by now with the chance rate * F: the variance of as many draws as there are recipients.
    of_chance = max(
        sum(rate * share * (1 - rate * share) for shares in shown.values() for share in shares), Fraction(0)
    )
    # Exposure = sum over lags of the recipients that are old enough for it / lags: a ratio, of which each campaign is a
    # draw.
    ages = [age for own in young.values() for age, _is_converted in own]
    many = sum(map(len, lags.values()))
    residuals = [
        sum(sum(age >= lag for age in ages) for lag in lags.get(campaign, ())) - exposure * len(lags.get(campaign, ()))
        for campaign in history
    ]
    of_lags = rate**2 * correction * sum(residual**2 for residual in residuals) / many**2
    variance = (of_campaigns + of_chance + of_lags) / exposure**2
    return _bounds(told, variance, [matured for _converted, matured in history.values()])


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
