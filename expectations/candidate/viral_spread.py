"""candidate.viral_spread: intervals lie the right way round, shares and chances are between 0 and 1."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_spread."""
    return table_suite(
        "viral_spread",
        between("lowest_share", "no share or chance is below 0", at_least=0),
        between("highest_share", "no share or chance is above 1", at_most=1),
        between("outside_interval", "every measure lies in its interval", at_most=0),
    )
