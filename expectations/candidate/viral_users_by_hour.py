"""candidate.viral_users_by_hour: users joined within their hour."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_users_by_hour."""
    return table_suite(
        "viral_users_by_hour",
        between("empty_hours", "no hour is without users", at_most=0),
        between("outside_hour", "the users of every hour joined within it", at_most=0),
    )
