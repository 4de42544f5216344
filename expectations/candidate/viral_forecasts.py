"""candidate.viral_forecasts: what is expected lies in its interval."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_forecasts."""
    return table_suite(
        "viral_forecasts",
        between("lowest_joins", "nobody expects less than no joins", at_least=0),
        between("outside_interval", "what is expected lies in its interval, and holds the referred joins", at_most=0),
    )
