"""candidate.attribution_by_channel: the money of days gone by stays, and journeys are still found."""

from orchestration.policy import Policy

from ..suite import Suite
from .tables import recent_share_keeps, settled_days_keep, table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.attribution_by_channel."""
    return table_suite(
        "attribution_by_channel",
        settled_days_keep("revenue_cents", "the cents", policy),
        settled_days_keep("conversions", "the conversions", policy),
        recent_share_keeps("unattributed", "conversions without a journey", policy),
    )
