"""[pure] Bounds of the ratios of return, which two marts hold."""

from ..suite import Expectation, between


def possible_returns() -> tuple[Expectation, ...]:
    """Nobody loses more than the cost, nor acquires at less than nothing."""
    return (
        between("lowest_roi_pct", "no roi_pct is below -100: more than the cost cannot be lost", at_least=-100),
        between("lowest_roas", "no roas is below 0", at_least=0),
        between("lowest_cac_cents", "no cac_cents is below 0", at_least=0),
    )
