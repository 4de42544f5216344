"""candidate.super_connectors: whoever is credited with joins has as many below them, and is owed nothing negative."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.super_connectors."""
    return table_suite(
        "super_connectors",
        between(
            "parts_beyond_whole",
            "net joins are a part of the credited ones, and these of all below",
            at_most=0,
        ),
        between("lowest_cents", "no reward or revenue is below 0", at_least=0),
    )
