"""Shapley values held against every order of joining, in fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution.shapley import (
    BLOCKS,
    EXACT_CHANNELS,
    LEAST_BLOCKS,
    SubsetCount,
    count_subsets,
    exact_shapley,
    fit_shapley,
    sampled_shapley,
    shapley_simple,
)
from tests.oracles import shapley as oracle
from tests.unit.journeys import CHANNELS, DRAWN, JOURNEYS, counted


def channels_of(journeys):
    return sorted({channel for path, _, _ in journeys for channel in path})


def many_channels(count, sets=300):
    """Counts of sets of 1 to 5 of so many channels, always the same."""
    random = np.random.default_rng(5)
    names = np.array([f"channel {number:02}" for number in range(count)])
    subsets = {frozenset([name]): SubsetCount(1000, 20 + place) for place, name in enumerate(names.tolist())}
    for _ in range(sets):
        members = random.choice(names, size=random.integers(2, 6), replace=False)
        paths = int(random.integers(10, 500))
        subsets[frozenset(members.tolist())] = SubsetCount(paths, int(random.binomial(paths, 0.1)), 7)
    return subsets


@DRAWN
@given(JOURNEYS)
def test_values_are_those_of_every_order_of_joining(journeys):
    fit = exact_shapley(count_subsets(counted(journeys)))
    expected = oracle.shapley_values(channels_of(journeys), oracle.rate_worth(journeys))
    assert list(fit.values) == list(expected)
    assert fit.values == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-12)
    assert set(fit.standard_errors.values()) <= {0.0}


@DRAWN
@given(JOURNEYS)
def test_values_add_up_to_the_overall_rate(journeys):
    converted = sum(count for _, count, _ in journeys)
    walked = converted + sum(count for _, _, count in journeys)
    fit = exact_shapley(count_subsets(counted(journeys)))
    assert sum(fit.values.values()) == pytest.approx(converted / walked if walked else 0, abs=1e-12)


@DRAWN
@given(JOURNEYS)
def test_the_simple_form_is_the_value_of_counted_conversions(journeys):
    """An even split over distinct channels, without looking at a single order."""
    subsets = count_subsets(counted(journeys, cents=25))
    expected = oracle.shapley_values(channels_of(journeys), oracle.count_worth(journeys))
    assert shapley_simple(subsets) == expected
    assert shapley_simple(subsets, of="revenue_cents") == {name: 25 * value for name, value in expected.items()}


def test_the_simple_form_splits_each_path_evenly_over_its_distinct_channels():
    subsets = count_subsets(counted([(("email", "video", "email"), 3, 9), (("video",), 1, 0)], cents=10))
    assert shapley_simple(subsets) == {"email": Fraction(3, 2), "video": Fraction(5, 2)}
    assert shapley_simple(subsets, of="revenue_cents") == {"email": 15, "video": 25}


@DRAWN
@given(JOURNEYS, st.integers(0, 10**6), st.integers(0, 10**10))
def test_credits_are_never_negative_and_add_up_exactly(journeys, conversions, cents):
    fit = exact_shapley(count_subsets(counted(journeys)))
    if fit.values:
        for parts, total in ((fit.conversions(conversions), conversions), (fit.revenue_cents(cents), cents)):
            assert set(parts) == set(fit.values)
            assert min(parts.values()) >= 0
            assert sum(parts.values()) == total


@DRAWN
@given(JOURNEYS, st.randoms())
def test_the_order_of_the_counts_and_of_touches_does_not_move_a_bit(journeys, random):
    fit = exact_shapley(count_subsets(counted(journeys)))
    mixed = [(tuple(random.sample(path, len(path))), yes, no) for path, yes, no in journeys]
    random.shuffle(mixed)
    assert exact_shapley(count_subsets(counted(mixed))) == fit


@DRAWN
@given(JOURNEYS, st.permutations(CHANNELS))
def test_the_names_of_channels_do_not_matter(journeys, names):
    renamed = dict(zip(CHANNELS, names, strict=True))
    values = exact_shapley(count_subsets(counted(journeys))).values
    other = [(tuple(map(renamed.get, path)), yes, no) for path, yes, no in journeys]
    assert exact_shapley(count_subsets(counted(other))).values == pytest.approx(
        {renamed[channel]: value for channel, value in values.items()}, abs=1e-12
    )


def test_a_channel_that_only_dilutes_is_worth_less_than_nothing_and_gets_nothing():
    """Shared as it is, its negative value would give the others more conversions than there were."""
    journeys = [(("email",), 50, 50), (("search",), 25, 75), (("email", "video"), 0, 100)]
    fit = exact_shapley(count_subsets(counted(journeys)))
    assert fit.values["video"] < 0
    parts = fit.conversions(75)
    assert parts["video"] == 0
    assert float(parts["email"] / parts["search"]) == pytest.approx(fit.values["email"] / fit.values["search"])


def test_no_paths_at_all():
    for fit in (exact_shapley({}), sampled_shapley({}, np.random.default_rng(1))):
        assert (fit.values, fit.standard_errors, fit.conversions(0)) == ({}, {}, {})
    assert shapley_simple({}) == {}


def test_no_conversions_at_all():
    fit = exact_shapley(count_subsets(counted([(("email", "video"), 0, 3), (("video",), 0, 0)])))
    assert fit.values == {"email": 0.0, "video": 0.0}
    assert fit.revenue_cents(3) == {"email": 2, "video": 1}


def test_one_channel_only():
    fit = exact_shapley(count_subsets(counted([(("email", "email"), 1, 2), (("email",), 0, 1)])))
    assert fit.values == {"email": 0.25}
    assert fit.conversions(1) == {"email": 1}


def test_journeys_without_channels_are_refused():
    """They are `unattributed`; counted as a set they would lower every rate."""
    with pytest.raises(ValueError, match="nobody"):
        count_subsets(counted([((), 1, 0)]))
    for call in (exact_shapley, shapley_simple, fit_shapley):
        with pytest.raises(ValueError, match="nobody"):
            call({frozenset(): SubsetCount(1)})


@pytest.mark.parametrize("numbers", [(-1, 0, 0), (1, 2, 0), (1, -1, 0), (1, 1, -1)])
def test_counts_that_cannot_be_are_refused(numbers):
    with pytest.raises(ValueError, match="conversions <= paths"):
        SubsetCount(*numbers)


def test_twenty_channels_are_exact_and_one_more_is_sampled():
    subsets = many_channels(EXACT_CHANNELS)
    exact = fit_shapley(subsets)
    whole = sum(count.conversions for count in subsets.values()) / sum(count.paths for count in subsets.values())
    assert exact.permutations == 0
    assert sum(exact.values.values()) == pytest.approx(whole, abs=1e-12)

    more = subsets | {frozenset(["one more"]): SubsetCount(10, 1)}
    sampled = fit_shapley(more, np.random.default_rng(1))
    assert sampled.permutations == BLOCKS * EXACT_CHANNELS // (EXACT_CHANNELS + 1) * 2 * (EXACT_CHANNELS + 1)
    hundreds = {frozenset([f"c{number}", "one more"]): SubsetCount(3, 1) for number in range(400)}
    assert fit_shapley(hundreds, np.random.default_rng(1)).permutations == LEAST_BLOCKS * 2 * 401
    with pytest.raises(ValueError, match="random generator"):
        fit_shapley(more)
    with pytest.raises(ValueError, match="exact values are for at most 20"):
        exact_shapley(more)


@DRAWN
@given(JOURNEYS, st.integers(0, 100))
def test_sampled_values_add_up_to_the_overall_rate_too(journeys, seed):
    subsets = count_subsets(counted(journeys))
    sampled = sampled_shapley(subsets, np.random.default_rng(seed), blocks=2)
    assert sum(sampled.values.values()) == pytest.approx(sum(exact_shapley(subsets).values.values()), abs=1e-12)


def test_the_stated_error_of_a_sample_is_the_error_that_it_makes():
    """An error stated too small would pass noise off as a difference between channels."""
    subsets = many_channels(9)
    exact = np.array(list(exact_shapley(subsets).values.values()))
    samples = [sampled_shapley(subsets, np.random.default_rng(seed), blocks=16) for seed in range(60)]
    values = np.array([list(sample.values.values()) for sample in samples])
    stated = np.array([list(sample.standard_errors.values()) for sample in samples])
    assert np.sqrt(np.mean(((values - exact) / stated) ** 2)) == pytest.approx(1.0, abs=0.15)
    assert np.abs(values.mean(axis=0) - exact).max() < 4 * stated.mean() / np.sqrt(len(samples))


def test_a_sample_is_spread_better_than_by_chance():
    """Variance of one order, over all channels: 3.5e-4 if orders were drawn singly, 1.9e-4 if they were only turned,
    2.0e-4 if they were only reversed."""
    sample = sampled_shapley(many_channels(9), np.random.default_rng(1), blocks=400)
    variance = sum(error**2 for error in sample.standard_errors.values()) * sample.permutations
    assert variance < 1.4e-4


def test_the_same_seed_gives_the_same_sample_in_whatever_order_the_counts_come():
    subsets = many_channels(25, sets=60)
    turned = dict(reversed(subsets.items()))
    one, other = (sampled_shapley(counts, np.random.default_rng(3), blocks=2) for counts in (subsets, turned))
    assert one == other


def test_an_error_takes_two_blocks():
    with pytest.raises(ValueError, match="at least 2"):
        sampled_shapley(many_channels(6), np.random.default_rng(1), blocks=1)
