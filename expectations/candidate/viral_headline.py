"""candidate.viral_headline: K lies in its interval."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_headline."""
    return table_suite(
        "viral_headline",
        between("lowest_k", "no K is below 0", at_least=0),
        between("lowest_maturity", "no maturity is below 0", at_least=0),
        between("highest_maturity", "no maturity is above 1", at_most=1),
        between("outside_interval", "every K lies in its interval", at_most=0),
    )
