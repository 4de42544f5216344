"""New loads of attribution_truth: what the accuracy of attribution is measured by."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, happened_before_it_came, load_suite, mixed_as_before


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.attribution_truth."""
    return load_suite(
        "attribution_truth",
        every_load(policy),
        happened_before_it_came("occurred_at", policy),
        mixed_as_before("channel", policy),
    )
