"""New loads of users: one address for all would match every message to every user."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, load_suite, many_people, mixed_as_before


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.users."""
    return load_suite(
        "users",
        every_load(policy),
        mixed_as_before("user_type", policy),
        many_people("email_key", policy),
    )
