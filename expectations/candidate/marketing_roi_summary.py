"""candidate.marketing_roi_summary: a day that had conversions still has its row."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.marketing_roi_summary."""
    return table_suite(
        "marketing_roi_summary",
        between("days_lost", "no settled day that was published has gone", at_most=0, compares=True),
    )
