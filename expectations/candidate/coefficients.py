"""[pure] Bounds of K and what it is made of, which the marts of cohorts hold."""

from ..suite import Expectation, between


def possible_coefficients() -> tuple[Expectation, ...]:
    """Nobody brings less than nobody, and no more shows than there is."""
    return (
        between("lowest_k", "no K is below 0", at_least=0),
        between("lowest_maturity", "no maturity is below 0", at_least=0),
        between("highest_maturity", "no maturity is above 1", at_most=1),
        between("outside_interval", "every K lies in its interval", at_most=0),
        between("parts_beyond_whole", "no part of the invites or joins is greater than all of them", at_most=0),
    )
