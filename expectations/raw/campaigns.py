"""New loads of campaigns: a few records each, of which only the batch as a whole can look wrong."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, load_suite


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.campaigns."""
    return load_suite(
        "campaigns",
        every_load(policy),
    )
