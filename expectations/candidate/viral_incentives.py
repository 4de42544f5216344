"""candidate.viral_incentives: money and joins are none below 0."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_incentives."""
    return table_suite(
        "viral_incentives",
        between("parts_beyond_whole", "no day has more net joins than credited ones", at_most=0),
        between("lowest_cents", "no amount is below 0", at_least=0),
    )
