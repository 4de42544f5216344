"""New loads of identities: a placeholder here would merge the journeys of strangers."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, happened_before_it_came, load_suite, many_people


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.identities."""
    return load_suite(
        "identities",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
        many_people("user_id", policy),
        many_people("anonymous_id", policy),
    )
