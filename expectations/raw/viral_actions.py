"""New loads of viral_actions: invites and their rewards."""

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
    """The suite of raw.viral_actions."""
    return load_suite(
        "viral_actions",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
        mixed_as_before("action_type", policy),
        many_people("recipient_key", policy),
        amounts_of_money("reward_cents", policy),
    )
