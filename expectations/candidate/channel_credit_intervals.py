"""candidate.channel_credit_intervals: intervals lie the right way round, and models agree in what they share."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.channel_credit_intervals."""
    return table_suite(
        "channel_credit_intervals",
        between("lowest_credit", "no interval begins below 0", at_least=0),
        between("reversed_intervals", "no interval ends before it begins", at_most=0),
        between("conversions_off", "every model shares the same conversions", at_most=0),
    )
