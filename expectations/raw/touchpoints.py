"""New loads of touchpoints: the raw material of every journey."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, happened_before_it_came, load_suite, many_people, mixed_as_before


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.touchpoints."""
    return load_suite(
        "touchpoints",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
        mixed_as_before("channel", policy),
        mixed_as_before("interaction", policy),
        many_people("user_id", policy),
        many_people("anonymous_id", policy),
    )
