"""candidate.viral_levers: shares are between 0 and 1, intervals lie the right way round."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_levers."""
    return table_suite(
        "viral_levers",
        between("lowest_share", "no share of the joins is below 0", at_least=0),
        between("highest_share", "no share of the joins is above 1", at_most=1),
        between("reversed_intervals", "no interval ends before it begins", at_most=0),
    )
