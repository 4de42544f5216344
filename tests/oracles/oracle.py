"""The whole way from feeds to marts in one call."""

from collections.abc import Sequence
from datetime import datetime

from tests.oracles.attribution import Row, attribution_by, fct_attribution
from tests.oracles.campaigns import AddressKey, Deliveries, campaign_performance
from tests.oracles.content import content_opportunities, content_performance
from tests.oracles.feeds import Feeds, Fingerprint, json_fingerprint
from tests.oracles.health import Service, integration_health, success_criteria
from tests.oracles.journeys import journeys_of, touches_of
from tests.oracles.money import Rates, conversions_of, costs_of
from tests.oracles.paths import channel_transitions, path_summary, paths_of
from tests.oracles.policy import Policy, headline_model, shown_models
from tests.oracles.roi import campaign_roi, channel_roi, marketing_roi_summary
from tests.oracles.scorecard import scorecard, viral_goals
from tests.oracles.viral import referrals_of
from tests.oracles.viral_marts import (
    cohorts_of,
    fct_invites,
    fct_referrals,
    lags_of,
    revenue_by_person,
    super_connectors,
    viral_coefficient_daily,
    viral_coefficient_daily_by_user_type,
    viral_coefficient_weekly,
    viral_generations,
    viral_headline,
    viral_incentives,
    viral_trees,
    viral_users_by_hour,
)

GRAINS: dict[str, tuple[str, ...]] = {
    "fct_attribution": ("conversion_id", "touchpoint_id"),
    "attribution_by_channel": ("date", "attribution_model", "channel"),
    "attribution_by_campaign": ("date", "attribution_model", "campaign_id"),
    "path_summary": ("path_sha256",),
    "channel_transitions": ("markov_order", "from_state", "to_state"),
    "campaign_performance": ("campaign_id",),
    "channel_roi": ("date", "attribution_model", "channel"),
    "campaign_roi": ("attribution_model", "campaign_id"),
    "marketing_roi_summary": ("date",),
    "fct_invites": ("invite_id",),
    "fct_referrals": ("user_id",),
    "viral_coefficient_daily": ("cohort_on",),
    "viral_coefficient_daily_by_user_type": ("cohort_on", "user_type"),
    "viral_coefficient_weekly": ("week_on",),
    "viral_headline": ("as_of",),
    "viral_lag_distribution": ("lag_hours",),
    "viral_users_by_hour": ("joined_hour_at",),
    "viral_generations": ("generation",),
    "viral_trees": ("root_id",),
    "super_connectors": ("user_id",),
    "viral_incentives": ("date",),
    "scorecard": ("metric",),
    "integration_health": ("integration",),
    "success_criteria": ("criterion",),
    "content_opportunities": ("kind", "subject_id"),
    "content_performance": ("campaign_id", "variant_id"),
}
"""Mart -> the columns that no two of its rows share."""
FITTED_GRAINS: dict[str, tuple[str, ...]] = {
    "viral_backtest": ("replayed_on", "scope"),
    "viral_spread": ("metric",),
    "viral_levers": ("segment_kind", "segment", "lever"),
    "viral_forecasts": ("forecast_on", "horizon_days"),
    "system_health": ("component",),
}
"""The same of marts that need what only the fits know: these have oracles of their own."""
NOT_WORKED_OUT: dict[str, set[str]] = {
    "fct_invites": {"recipient_key"},
    "viral_coefficient_daily": {"low", "high"},
    "viral_coefficient_daily_by_user_type": {"low", "high"},
    "viral_coefficient_weekly": {"low", "high"},
    "viral_headline": {"low", "high"},
    "scorecard": {"low", "high", "maturity", "users"},
    "success_criteria": {"evidence"},
}
"""Columns that the rows here do not have: pseudonyms, and what the fits give, which have oracles of their own."""


def trimmed_lower(address: str) -> str:
    """The address as it is compared: two spellings of it are one recipient."""
    return address.strip().lower()


def marts_of(
    feeds: Feeds,
    as_of: datetime,
    policy: Policy,
    *,
    fingerprint: Fingerprint = json_fingerprint,
    address_key: AddressKey = trimmed_lower,
) -> dict[str, list[Row]]:
    """Every mart at as_of (UTC): name -> rows with the columns of the mart, sorted by grain.

    Credits and ratios are Decimals of twelve decimals, money is int cents, days are dates, times datetimes
    in UTC. Nothing is frozen. policy: dbt's vars, and under `calibration` the one in force, if any has been
    promoted. Raises ValueError for a policy value outside its choices.
    """
    rates = Rates(feeds, as_of, policy, fingerprint)
    conversions = conversions_of(feeds, as_of, rates)
    costs = costs_of(feeds, as_of, rates, fingerprint)
    deliveries = Deliveries(feeds, as_of, policy, fingerprint, address_key)

    touches, models = touches_of(feeds, as_of), shown_models(policy)
    journeys = journeys_of(conversions, touches, policy)
    attribution = fct_attribution(journeys, policy)
    by_channel = attribution_by("channel", attribution, models)
    by_campaign = attribution_by("campaign_id", attribution, models)
    paths = paths_of(journeys, conversions, touches, as_of, policy)
    performance = campaign_performance(deliveries)
    conversion_rates = {row["campaign_id"]: row["conversion_rate"] for row in performance}
    by_channel_roi = channel_roi(by_channel, costs, models)
    referrals = referrals_of(feeds, as_of, policy, fingerprint, address_key)
    lags = lags_of(referrals, as_of, policy)
    cohorts = cohorts_of(referrals, lags, as_of, policy)
    headline = viral_headline(cohorts, as_of, policy)
    revenue = revenue_by_person(conversions)
    connectors = super_connectors(referrals, revenue, policy)
    integrations = integration_health(feeds, as_of, policy)
    goals = [
        *viral_goals(referrals, headline, as_of, policy),
        *scorecard(attribution, feeds, by_channel, by_channel_roi, deliveries, as_of, policy),
    ]
    marts = {
        "fct_attribution": attribution,
        "attribution_by_channel": by_channel,
        "attribution_by_campaign": by_campaign,
        "path_summary": path_summary(paths, policy),
        "channel_transitions": channel_transitions(paths, policy),
        "campaign_performance": performance,
        "channel_roi": by_channel_roi,
        "campaign_roi": campaign_roi(by_campaign, costs, models),
        "marketing_roi_summary": marketing_roi_summary(attribution, headline_model(policy), conversion_rates),
        "fct_invites": fct_invites(referrals, policy),
        "fct_referrals": fct_referrals(referrals, policy),
        "viral_coefficient_daily": viral_coefficient_daily(cohorts),
        "viral_coefficient_daily_by_user_type": viral_coefficient_daily_by_user_type(cohorts),
        "viral_coefficient_weekly": viral_coefficient_weekly(cohorts, as_of),
        "viral_headline": [headline],
        "viral_lag_distribution": lags.rows(),
        "viral_users_by_hour": viral_users_by_hour(referrals),
        "viral_generations": viral_generations(referrals),
        "viral_trees": viral_trees(referrals),
        "super_connectors": connectors,
        "viral_incentives": viral_incentives(referrals, feeds, as_of, revenue, policy),
        "scorecard": goals,
        "integration_health": integrations,
        "success_criteria": success_criteria(goals, integrations, Service(as_of), as_of, policy),
        "content_opportunities": content_opportunities(deliveries, connectors, referrals, as_of, policy),
        "content_performance": content_performance(feeds, deliveries, as_of, policy, address_key),
    }
    return {name: by_grain(rows, GRAINS[name]) for name, rows in marts.items()}


def held_out(
    feeds: Feeds, as_of: datetime, policy: Policy, *, fingerprint: Fingerprint = json_fingerprint
) -> tuple[list[str], int]:
    """(ids of the conversions, number of ad_spend rows) that no mart holds because no rate is known for them."""
    rates = Rates(feeds, as_of, policy, fingerprint)
    waiting = [each.conversion_id for each in conversions_of(feeds, as_of, rates) if each.revenue_cents is None]
    return sorted(waiting), sum(cost.cost_cents is None for cost in costs_of(feeds, as_of, rates, fingerprint))


def by_grain(rows: Sequence[Row], grain: Sequence[str]) -> list[Row]:
    """The rows in order of their grain, nulls first; text by code point."""
    return sorted(rows, key=lambda row: [(row[column] is not None, row[column]) for column in grain])
