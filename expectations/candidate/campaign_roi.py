"""candidate.campaign_roi: returns are possible ones."""

from orchestration.policy import Policy

from ..suite import Suite
from .returns import possible_returns
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.campaign_roi."""
    return table_suite("campaign_roi", *possible_returns())
