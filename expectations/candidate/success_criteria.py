"""candidate.success_criteria: every criterion has its row, and says what it rests on."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite

CRITERIA = 8


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.success_criteria."""
    return table_suite(
        "success_criteria",
        between("rows", "every criterion has a row", at_least=CRITERIA, at_most=CRITERIA),
        between("without_evidence", "every value says what it rests on", at_most=0),
        between("off_scorecard", "every number that the scorecard has too is the scorecard's", at_most=0),
    )
