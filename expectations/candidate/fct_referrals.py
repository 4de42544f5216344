"""candidate.fct_referrals: joins come after their invites, and count only where nothing speaks against it."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.fct_referrals."""
    return table_suite(
        "fct_referrals",
        between("early_joins", "no join is as early as the invite that brought it", at_most=0),
        between("wrongly_net", "no rejected or flagged join is net", at_most=0),
        between(
            "wrongly_within_horizon",
            "every join within the horizon is credited to a user who had joined",
            at_most=0,
        ),
        between("lowest_cents", "no reward is below 0", at_least=0),
    )
