"""candidate.content_opportunities: told of enough recipients and people only, and beyond chance."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(policy: Policy) -> Suite:
    """The suite of candidate.content_opportunities."""
    return table_suite(
        "content_opportunities",
        between("outside_interval", "every rate of a campaign lies in its interval", at_most=0),
        between(
            "lowest_shortfall",
            "every campaign falls short by content_min_shortfall at the least",
            at_least=policy.content_min_shortfall,
        ),
        between("fewest_recipients", "no campaign is judged by too few", at_least=policy.content_min_recipients),
        between("fewest_people", "no group is so small that it tells of persons", at_least=policy.content_min_people),
    )
