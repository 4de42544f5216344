"""candidate.fct_invites: what was sent, and credited, on settled days has hardly changed since it was published."""

from orchestration.policy import Policy

from ..suite import Suite
from .tables import settled_days_keep, table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.fct_invites."""
    return table_suite(
        "fct_invites",
        settled_days_keep("rows", "the invites", policy),
        settled_days_keep("credited", "the credited invites", policy),
    )
