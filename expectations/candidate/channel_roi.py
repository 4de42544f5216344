"""candidate.channel_roi: returns are possible ones, and the cost of days gone by stays."""

from orchestration.policy import Policy

from ..suite import Suite
from .returns import possible_returns
from .tables import settled_days_keep, table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.channel_roi."""
    return table_suite("channel_roi", *possible_returns(), settled_days_keep("cost_cents", "the cents of cost", policy))
