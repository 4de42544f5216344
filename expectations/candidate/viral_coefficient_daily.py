"""candidate.viral_coefficient_daily: K lies in its interval, and cohorts that had matured have hardly changed since."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import settled_days_keep, table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.viral_coefficient_daily."""
    return table_suite(
        "viral_coefficient_daily",
        between("lowest_k", "no K is below 0", at_least=0),
        between("lowest_maturity", "no maturity is below 0", at_least=0),
        between("highest_maturity", "no maturity is above 1", at_most=1),
        between("outside_interval", "every K lies in its interval", at_most=0),
        between("parts_beyond_whole", "no part of the invites or joins is greater than all of them", at_most=0),
        settled_days_keep("cohort_users", "the users of mature cohorts", policy),
        settled_days_keep("credited_joins", "the joins credited to mature cohorts", policy),
    )
