"""candidate.viral_coefficient_daily: K lies in its interval, and cohorts that had matured have hardly changed since."""

from orchestration.policy import Policy

from ..suite import Suite
from .coefficients import possible_coefficients
from .tables import settled_days_keep, table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.viral_coefficient_daily."""
    return table_suite(
        "viral_coefficient_daily",
        *possible_coefficients(),
        settled_days_keep("cohort_users", "the users of mature cohorts", policy),
        settled_days_keep("credited_joins", "the joins credited to mature cohorts", policy),
    )
