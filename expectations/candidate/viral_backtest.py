"""candidate.viral_backtest: what turned out lies in the intervals as often as they promise; too seldom warns."""

from orchestration.policy import Policy

from ..suite import Severity, Suite, between, percent
from .tables import table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.viral_backtest."""
    least = policy.viral_backtest_min_coverage
    return table_suite(
        "viral_backtest",
        between("outside_interval", "every K as said lies in its interval", at_most=0),
        between(
            "coverage",
            f"K turned out within the interval of the headline on at least {percent(least)} of the past days "
            "(viral_backtest_min_coverage)",
            at_least=least,
            severity=Severity.WARNING,
        ),
    )
