"""candidate.viral_lag_distribution: a share that grows from 0 to 1."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_lag_distribution."""
    return table_suite(
        "viral_lag_distribution",
        between("lowest_share", "no share is below 0", at_least=0),
        between("highest_share", "no share is above 1", at_most=1),
        between("falling_shares", "no share is below that of the hour before", at_most=0),
    )
