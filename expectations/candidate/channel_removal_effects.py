"""candidate.channel_removal_effects: effects are shares, and every method shares what there is."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.channel_removal_effects."""
    return table_suite(
        "channel_removal_effects",
        between("lowest_effect", "no removal effect is below 0", at_least=0),
        between("highest_effect", "no removal effect is above 1", at_most=1),
        between("lowest_credit", "no channel is given less than nothing", at_least=0),
        between("conversions_off", "every method shares all conversions on paths", at_most=0),
        between("cents_off", "every method shares all revenue on paths", at_most=0),
    )
