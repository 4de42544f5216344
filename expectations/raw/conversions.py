"""New loads of conversions: the money that journeys are credited with."""

from orchestration.policy import Policy

from .loads import (
    LoadSuite,
    amounts_of_money,
    every_load,
    happened_before_it_came,
    load_suite,
    many_people,
    mixed_as_before,
)


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.conversions."""
    return load_suite(
        "conversions",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
        mixed_as_before("conversion_type", policy),
        mixed_as_before("currency", policy),
        many_people("user_id", policy),
        amounts_of_money("revenue_cents", policy),
    )
