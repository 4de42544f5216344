"""The suites of new loads, one per feed."""

from orchestration.policy import Policy

from . import (
    ad_spend,
    attribution_truth,
    campaign_events,
    campaigns,
    conversions,
    exchange_rates,
    identities,
    integration_events,
    refunds,
    touchpoints,
    users,
    viral_actions,
)
from .loads import Kind, LoadSuite, Measure

__all__ = ["Kind", "LoadSuite", "Measure", "load_suites"]

# Rates first: the amounts of the other feeds are compared in the reporting currency.
MODULES = (
    exchange_rates,
    campaigns,
    campaign_events,
    touchpoints,
    identities,
    users,
    conversions,
    refunds,
    ad_spend,
    viral_actions,
    integration_events,
    attribution_truth,
)


def load_suites(policy: Policy) -> dict[str, LoadSuite]:
    """The suite of each feed, in the order in which they are to be judged."""
    suites = (module.suite(policy) for module in MODULES)
    return {suite.feed: suite for suite in suites}
