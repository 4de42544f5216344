"""candidate.scorecard: every goal has its row, of this build, with a value that can be."""

from orchestration.policy import Policy

from ..suite import Severity, Suite, between, exactly
from .tables import table_suite

# What the value of each goal lies between, whatever the business does: (at least, at most).
POSSIBLE = {
    "viral_coefficient": (0, None),
    "viral_days_above_target": (0, None),
    "campaign_conversion_rate": (0, 1),
    "recent_campaign_conversion_rate": (0, None),
    "attributed_revenue_cents": (0, None),
    "marketing_roi_pct": (-100, None),
    "attribution_accuracy": (0, 1),
}


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.scorecard. A goal's value is a column of its own, null in the rows of the others."""
    values = (
        between(
            metric,
            f"{metric} is {f'at least {least}' if most is None else f'between {least} and {most}'}",
            at_least=least,
            at_most=most,
        )
        for metric, (least, most) in POSSIBLE.items()
    )
    return table_suite(
        "scorecard",
        exactly("metric", list(POSSIBLE), "every goal has a row, and nothing else has one"),
        between("as_of_off_by_seconds", "every row is as of this build", at_least=0, at_most=0),
        *values,
        between(
            "value_lost", "no goal that had a value has none now", at_most=0, severity=Severity.WARNING, compares=True
        ),
        row_key=("metric",),
    )
