"""candidate.path_summary: counts of journeys and money are none below 0."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.path_summary."""
    return table_suite(
        "path_summary",
        between("lowest_count", "no path was taken less than 0 times", at_least=0),
        between("lowest_cents", "no path brought less than nothing", at_least=0),
    )
