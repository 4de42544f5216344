"""New loads of integration_events. Their mix is not judged: trouble next door is news, not a wrong load."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, happened_before_it_came, load_suite


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.integration_events."""
    return load_suite(
        "integration_events",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
    )
