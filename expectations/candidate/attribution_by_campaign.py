"""candidate.attribution_by_campaign: the money of days gone by stays, and touches still name their campaigns."""

from orchestration.policy import Policy

from ..suite import Suite
from .tables import recent_share_keeps, settled_days_keep, table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.attribution_by_campaign."""
    return table_suite(
        "attribution_by_campaign",
        settled_days_keep("revenue_cents", "the cents", policy),
        recent_share_keeps("without_campaign", "conversions without a campaign", policy),
    )
