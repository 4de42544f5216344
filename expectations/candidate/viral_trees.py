"""candidate.viral_trees: generations add up to the tree, and none is empty."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_trees."""
    return table_suite(
        "viral_trees",
        between("lowest_depth", "no tree is less than 0 deep", at_least=0),
        between(
            "uneven_trees",
            "the generations of every tree are one more than its depth, none empty, and add up",
            at_most=0,
        ),
    )
