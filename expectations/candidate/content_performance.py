"""candidate.content_performance: every variant is held against the one control of its campaign."""

from orchestration.policy import Policy

from ..suite import Suite, between
from .tables import table_suite


def suite(_policy: Policy) -> Suite:
    """The suite of candidate.content_performance."""
    return table_suite(
        "content_performance",
        between("parts_beyond_whole", "the converted are a part of the matured, and these of the delivered", at_most=0),
        between("outside_interval", "every lift lies in its interval", at_most=0),
        between("without_control", "every campaign has one control", at_most=0),
    )
