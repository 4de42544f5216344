"""Weights that let totals of channels and sharing within journeys agree, where they can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution.reconcile import credited, least_gap, reconcile
from tests.unit.journeys import CHANNELS, DRAWN

SETS = st.dictionaries(
    st.frozensets(st.sampled_from(CHANNELS), min_size=1, max_size=4), st.integers(1, 500), min_size=1, max_size=8
)
WEIGHTS = st.fixed_dictionaries({channel: st.floats(0.05, 1.0) for channel in CHANNELS})


def met(sets: dict, weights: dict[str, float]) -> dict[str, float]:
    """The weights of the channels that the journeys hold."""
    return {channel: weights[channel] for channel in frozenset().union(*sets)}


@DRAWN
@given(SETS, WEIGHTS)
def test_totals_that_weights_can_lead_to_are_reached(sets: dict, weights: dict[str, float]):
    targets = credited(sets, met(sets, weights))
    found = reconcile(sets, targets, tolerance=1e-9)
    assert found.credited == pytest.approx(targets, abs=1e-6 * sum(sets.values()))
    assert sum(found.weights.values()) == pytest.approx(1)
    assert sum(targets.values()) == pytest.approx(sum(sets.values()))


@DRAWN
@given(SETS, WEIGHTS)
def test_no_scaling_comes_nearer_than_can_be(sets: dict, shares: dict[str, float]):
    """Prevents a gap that is told smaller than any sharing could make it."""
    wanted = met(sets, shares)
    total = sum(sets.values())
    targets = {channel: share / sum(wanted.values()) * total for channel, share in wanted.items()}
    found, least = reconcile(sets, targets, steps=300), least_gap(sets, targets)
    assert found.gap >= least - 1e-7
    assert found.feasible == (found.gap <= 1e-10)


@DRAWN
@given(SETS, WEIGHTS)
def test_the_order_of_the_journeys_does_not_move_a_bit(sets: dict, weights: dict[str, float]):
    targets = credited(sets, met(sets, weights))
    turned = dict(reversed(sets.items()))
    assert reconcile(turned, targets, steps=50) == reconcile(sets, targets, steps=50)


def test_what_a_channel_has_alone_cannot_be_taken_from_it():
    """Email alone has 80 of 100 conversions: no weight makes that 50."""
    sets = {frozenset({"email"}): 80, frozenset({"email", "video"}): 20}
    found = reconcile(sets, {"email": 50, "video": 50})
    assert not found.feasible
    assert found.gap == pytest.approx(0.3, abs=1e-3)
    assert least_gap(sets, {"email": 50, "video": 50}) == pytest.approx(0.3)
    assert reconcile(sets, {"email": 85, "video": 15}).feasible


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="a target for each channel"):
        reconcile({frozenset({"email"}): 1}, {"video": 1})
    with pytest.raises(ValueError, match="a target for each channel"):
        reconcile({}, {})
