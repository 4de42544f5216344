"""New loads of refunds: money that leaves the journeys again."""

from orchestration.policy import Policy

from .loads import LoadSuite, amounts_of_money, every_load, happened_before_it_came, load_suite


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.refunds."""
    return load_suite(
        "refunds",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
        amounts_of_money("refund_cents", policy),
    )
