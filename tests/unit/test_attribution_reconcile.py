"""Weights that let totals of channels and sharing within journeys agree, where they can."""

from itertools import combinations

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


def to_share(sets: dict, weights: dict[str, float]) -> dict[str, float]:
    """All conversions shared in proportion to the weights, whoever was there."""
    shares = met(sets, weights)
    return {channel: share / sum(shares.values()) * sum(sets.values()) for channel, share in shares.items()}


def least_by_groups(sets: dict, targets: dict[str, float]) -> float:
    """The most by which a group of channels has conversions among itself that its targets leave no room for."""
    groups = [frozenset(group) for size in range(len(targets) + 1) for group in combinations(targets, size)]
    return max(
        sum(count for members, count in sets.items() if members <= group) - sum(targets[channel] for channel in group)
        for group in groups
    ) / sum(sets.values())


@DRAWN
@given(SETS, WEIGHTS)
def test_totals_that_weights_can_lead_to_are_reached(sets: dict, weights: dict[str, float]):
    targets = credited(sets, met(sets, weights))
    found = reconcile(sets, targets)
    assert found.feasible
    assert found.credited == pytest.approx(targets, abs=1e-8 * sum(sets.values()))
    assert found.credited == pytest.approx(credited(sets, found.weights), abs=1e-9 * sum(sets.values()))
    assert sum(found.weights.values()) == pytest.approx(1)
    assert sum(targets.values()) == pytest.approx(sum(sets.values()))


@DRAWN
@given(SETS, st.permutations(CHANNELS))
def test_totals_at_the_edge_of_what_can_be_are_reached_too(sets: dict, order: list[str]):
    """Prevents `not feasible` where one channel gets all that it was part of: scaling takes endless steps to there."""
    targets = dict.fromkeys(sorted(frozenset().union(*sets)), 0.0)
    for members, count in sets.items():
        targets[min(members, key=order.index)] += count
    found = reconcile(sets, targets)
    assert found.feasible
    assert found.gap <= 1e-10
    assert found.iterations < 60


def test_rare_links_between_channels_do_not_hold_it_up():
    """Scaling alone is 1.6e-5 away after 10,000 steps."""
    sets = {frozenset({"email"}): 5000, frozenset({"video"}): 5000, frozenset({"email", "video"}): 1}
    found = reconcile(sets, {"email": 5000.9, "video": 5000.1})
    assert found.weights == pytest.approx({"email": 0.9, "video": 0.1}, abs=1e-5)
    assert found.iterations < 10


@DRAWN
@given(SETS, WEIGHTS)
def test_the_least_gap_is_that_of_the_group_which_has_most_too_much(sets: dict, weights: dict[str, float]):
    targets = to_share(sets, weights)
    assert least_gap(sets, targets) == pytest.approx(least_by_groups(sets, targets), abs=1e-12)


@DRAWN
@given(SETS, WEIGHTS)
def test_no_scaling_comes_nearer_than_can_be(sets: dict, weights: dict[str, float]):
    """Prevents a gap that is told smaller than any sharing could make it."""
    targets = to_share(sets, weights)
    found, least = reconcile(sets, targets, steps=300), least_gap(sets, targets)
    assert found.gap >= least - 1e-9
    assert found.feasible == (least <= 1e-10)
    assert found.credited == pytest.approx(credited(sets, found.weights), abs=1e-9 * sum(sets.values()))


def test_what_cannot_be_met_is_met_as_nearly_as_can_be():
    """Prevents weights that fall out of the range of doubles one after the other, and then share evenly."""
    sets = {
        frozenset({"direct", "email"}): 10,
        frozenset({"email", "search"}): 10,
        frozenset({"search", "video"}): 10,
        frozenset({"direct"}): 1,
        frozenset({"video"}): 5,
    }
    targets = {"direct": 20, "email": 9, "search": 4, "video": 3}
    found = reconcile(sets, targets)
    assert not found.feasible
    assert found.gap == pytest.approx(least_gap(sets, targets), abs=1e-9)
    assert found.credited == pytest.approx({"direct": 11, "email": 10, "search": 60 / 7, "video": 45 / 7}, abs=1e-6)
    assert credited(sets, found.weights) == pytest.approx(found.credited, abs=1e-9)


@DRAWN
@given(SETS, WEIGHTS, st.integers(2, 1000), st.permutations(CHANNELS))
def test_neither_scale_nor_names_matter(sets: dict, weights: dict[str, float], times: int, names: list[str]):
    targets, renamed = to_share(sets, weights), dict(zip(CHANNELS, names, strict=True))
    found = reconcile(sets, targets, steps=30)
    other = reconcile(
        {frozenset(map(renamed.get, members)): times * count for members, count in sets.items()},
        {renamed[channel]: times * target for channel, target in targets.items()},
        steps=30,
    )
    assert {channel: other.credited[renamed[channel]] / times for channel in targets} == pytest.approx(
        found.credited, rel=1e-6, abs=1e-6 * sum(sets.values())
    )


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


def test_channels_that_no_journeys_link_weigh_what_is_due_to_them():
    """A channel that is alone in all its journeys gets these, whatever it weighs; its weight then says how many."""
    sets = {frozenset({"email"}): 60, frozenset({"search", "video"}): 40}
    found = reconcile(sets, {"email": 60, "search": 30, "video": 10})
    assert found.weights == pytest.approx({"email": 0.6, "search": 0.3, "video": 0.1})
    assert reconcile(sets, {"email": 50, "search": 30, "video": 20}).credited["email"] == 60


def test_nothing_to_share():
    found = reconcile({frozenset({"email", "video"}): 0}, {"email": 0, "video": 0})
    assert (found.weights, found.gap, found.feasible) == ({"email": 0.5, "video": 0.5}, 0.0, True)


@pytest.mark.parametrize(
    "targets", [{"email": 5, "video": 4}, {"email": 11, "video": -1}, {"email": 10, "video": float("nan")}]
)
def test_targets_that_do_not_add_up_are_refused(targets: dict[str, float]):
    """Prevents a gap that no weights can be blamed for."""
    for call in (reconcile, least_gap):
        with pytest.raises(ValueError, match="add up"):
            call({frozenset({"email", "video"}): 10}, targets)


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="a target for each channel"):
        reconcile({frozenset({"email"}): 1}, {"video": 1})
    with pytest.raises(ValueError, match="a target for each channel"):
        reconcile({}, {})
