"""The suites of the tables that a build wants to publish, one per mart."""

from orchestration.policy import Policy

from ..suite import Suite
from . import (
    attribution_accuracy,
    attribution_by_campaign,
    attribution_by_channel,
    campaign_performance,
    campaign_roi,
    channel_credit_intervals,
    channel_removal_effects,
    channel_roi,
    channel_transitions,
    content_opportunities,
    content_performance,
    fct_attribution,
    fct_invites,
    fct_referrals,
    integration_health,
    marketing_roi_summary,
    path_summary,
    scorecard,
    success_criteria,
    super_connectors,
    system_health,
    viral_backtest,
    viral_coefficient_daily,
    viral_coefficient_daily_by_user_type,
    viral_coefficient_weekly,
    viral_forecasts,
    viral_generations,
    viral_headline,
    viral_incentives,
    viral_lag_distribution,
    viral_levers,
    viral_spread,
    viral_trees,
    viral_users_by_hour,
)

__all__ = ["FITTED", "candidate_suites"]

MODULES = {
    "fct_attribution": fct_attribution,
    "attribution_by_channel": attribution_by_channel,
    "attribution_by_campaign": attribution_by_campaign,
    "path_summary": path_summary,
    "channel_transitions": channel_transitions,
    "channel_removal_effects": channel_removal_effects,
    "channel_credit_intervals": channel_credit_intervals,
    "attribution_accuracy": attribution_accuracy,
    "campaign_performance": campaign_performance,
    "channel_roi": channel_roi,
    "campaign_roi": campaign_roi,
    "marketing_roi_summary": marketing_roi_summary,
    "fct_invites": fct_invites,
    "viral_coefficient_daily": viral_coefficient_daily,
    "fct_referrals": fct_referrals,
    "viral_trees": viral_trees,
    "viral_generations": viral_generations,
    "viral_lag_distribution": viral_lag_distribution,
    "viral_users_by_hour": viral_users_by_hour,
    "super_connectors": super_connectors,
    "viral_incentives": viral_incentives,
    "viral_headline": viral_headline,
    "viral_coefficient_daily_by_user_type": viral_coefficient_daily_by_user_type,
    "viral_coefficient_weekly": viral_coefficient_weekly,
    "viral_spread": viral_spread,
    "viral_levers": viral_levers,
    "viral_forecasts": viral_forecasts,
    "viral_backtest": viral_backtest,
    "scorecard": scorecard,
    "integration_health": integration_health,
    "success_criteria": success_criteria,
    "system_health": system_health,
    "content_opportunities": content_opportunities,
    "content_performance": content_performance,
}


# The marts that are judged after what is fitted from the others: those that need it, and integration_health, which goes
# into them and must not stand between the two halves of an audit.
FITTED = frozenset(
    {
        "channel_removal_effects",
        "channel_credit_intervals",
        "attribution_accuracy",
        "viral_coefficient_daily",
        "viral_backtest",
        "viral_headline",
        "viral_coefficient_daily_by_user_type",
        "viral_coefficient_weekly",
        "viral_spread",
        "viral_levers",
        "viral_forecasts",
        "scorecard",
        "integration_health",
        "success_criteria",
        "system_health",
    }
)


def candidate_suites(policy: Policy) -> dict[str, Suite]:
    """The suite of each mart, by its name."""
    return {mart: module.suite(policy) for mart, module in MODULES.items()}
