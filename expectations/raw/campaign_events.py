"""New loads of campaign_events: what happened to messages."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, happened_before_it_came, load_suite, many_people, mixed_as_before


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.campaign_events."""
    return load_suite(
        "campaign_events",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
        mixed_as_before("event_type", policy),
        many_people("recipient_key", policy),
    )
