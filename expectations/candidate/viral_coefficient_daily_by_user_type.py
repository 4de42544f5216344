"""candidate.viral_coefficient_daily_by_user_type: K by type of user lies in its interval."""

from orchestration.policy import Policy

from ..suite import Suite
from .coefficients import possible_coefficients
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.viral_coefficient_daily_by_user_type."""
    return table_suite("viral_coefficient_daily_by_user_type", *possible_coefficients())
