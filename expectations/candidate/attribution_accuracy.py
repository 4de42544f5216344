"""candidate.attribution_accuracy: a share, which had better be high; a low one warns, since the numbers are right."""

from orchestration.policy import Policy

from ..suite import Severity, Suite, between, percent
from .tables import table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.attribution_accuracy."""
    target, floor = policy.attribution_accuracy_target, policy.attribution_accuracy_floor
    return table_suite(
        "attribution_accuracy",
        between("lowest_accuracy", "no accuracy is below 0", at_least=0),
        between("highest_accuracy", "no accuracy is above 1", at_most=1),
        between(
            "accuracy",
            f"accuracy of the headline model is at least {percent(target)} (attribution_accuracy_target)",
            at_least=target,
            severity=Severity.WARNING,
        ),
        between(
            "drifted_accuracy",
            f"the headline model has not drifted below {percent(floor)} (attribution_accuracy_floor)",
            at_least=floor,
            severity=Severity.WARNING,
        ),
    )
