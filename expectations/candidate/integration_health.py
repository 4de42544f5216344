"""candidate.integration_health: a row for each neighbour, whose shares are shares."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite

INTEGRATIONS = 4


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.integration_health."""
    return table_suite(
        "integration_health",
        between("rows", "every neighbouring system has a row", at_least=INTEGRATIONS, at_most=INTEGRATIONS),
        between("lowest_value", "no measure is below 0", at_least=0),
        between("highest_share", "no share is above 1", at_most=1),
        between("lowest_age", "no heartbeat is of later than as_of", at_least=0),
        between("parts_beyond_whole", "no system failed more often than it spoke", at_most=0),
    )
