"""candidate.viral_generations: everybody below generation 0 was brought by the one above."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_generations."""
    return table_suite(
        "viral_generations",
        between("lowest_count", "no generation has or brought less than nobody", at_least=0),
        between("brought_off", "each generation brought the next one", at_most=0),
    )
