"""candidate.system_health: every component has its row, and none is worse than its own number."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite

COMPONENTS = 8


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.system_health."""
    return table_suite(
        "system_health",
        between("rows", "every component has a row", at_least=COMPONENTS, at_most=COMPONENTS),
        between("without_value", "no component without a value is judged", at_most=0),
        between("worse_than_value", "no component is critical whose value is not below its floor", at_most=0),
    )
