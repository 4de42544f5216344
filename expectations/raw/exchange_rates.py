"""New loads of exchange_rates: a rate turned upside down moves every amount of its currency."""

from orchestration.policy import Policy

from .loads import LoadSuite, every_load, load_suite, rates_that_move_little


def suite(policy: Policy) -> LoadSuite:
    """The suite of raw.exchange_rates."""
    return load_suite(
        "exchange_rates",
        every_load(policy),
        rates_that_move_little("rate", policy),
    )
