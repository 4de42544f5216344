"""candidate.channel_transitions: whatever comes into a state leaves it again."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.channel_transitions."""
    return table_suite(
        "channel_transitions",
        between("lowest_count", "no step was taken less than once", at_least=1),
        between("unbalanced_states", "every state is left as often as it is entered", at_most=0),
        between("paths_off", "as many paths end as the paths are", at_most=0),
    )
