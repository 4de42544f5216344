"""New loads of ad_spend: the cost side of every return."""

from orchestration.policy import Policy

from .loads import LoadSuite, amounts_of_money, every_load, load_suite, mixed_as_before


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.ad_spend."""
    return load_suite(
        "ad_spend",
        every_load(policy),
        mixed_as_before("channel", policy),
        amounts_of_money("cost_cents", policy),
    )
