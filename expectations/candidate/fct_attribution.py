"""candidate.fct_attribution: every credit is a share, and the history that was published is still there."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import settled_days_keep, table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.fct_attribution."""
    return table_suite(
        "fct_attribution",
        between("lowest_credit", "no credit is below 0", at_least=0),
        between("highest_credit", "no credit is above 1", at_most=1),
        between("lowest_cents", "no attributed revenue is below 0", at_least=0),
        settled_days_keep("rows", "rows", policy),
    )
