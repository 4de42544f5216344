"""candidate.campaign_performance: what happened to messages has happened; the counts only grow."""

from orchestration.policy import Policy

from ..suite import Suite, between, percent
from .tables import table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.campaign_performance."""
    most = percent(policy.audit_max_change)
    return table_suite(
        "campaign_performance",
        *(
            between(
                f"{count}_fall",
                f"recipients {count} are at most {most} fewer than published (audit_max_change)",
                at_most=policy.audit_max_change,
                compares=True,
            )
            for count in ("sent", "delivered", "converted")
        ),
    )
