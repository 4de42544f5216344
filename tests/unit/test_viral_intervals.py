"""Intervals of K: each formula held against what it stands for, and what goes wrong where joins are alike in trees."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from orchestration.viral.intervals import cohort_intervals, dispersion, exposure_noise, influence, pooled_interval
from orchestration.viral.replay import cohorts
from tests.oracles import viral_replay as oracle
from tests.unit.test_viral_replay import LAST, RULES, SMALL, forests, history_of, hours

DRAWN = settings(deadline=None, max_examples=50)


def one_cohort(joins, exposure, users, unevenness, noise=0.0):
    """(low, high) of a single cohort."""
    columns = (np.array([float(value)]) for value in (joins, exposure, users))
    low, high = cohort_intervals(*columns, unevenness, np.array([noise]))
    return low[0], high[0]


@settings(deadline=None, max_examples=150)
@given(forests(hours(24)), st.integers(3, LAST))
def test_the_error_of_k_is_how_k_moves_with_each_group(users, today):
    """Exposure moves too as a group counts more, through the lags that all others are judged by: the derivative."""
    table = cohorts(history_of(users), today, SMALL)
    days, as_of = range(table.first_day, today), Fraction(24 * today)
    whole = oracle.said(users, as_of, RULES, days)
    if not whole.k:
        return
    k, exposure = float(whole.k), table.exposure.sum()
    moves = (table.joins - k * (table.exposure + table.shift)).sum(axis=0) / exposure
    step = Fraction(1, 10_000)
    for group in range(4):
        up, down = (
            oracle.said(users, as_of, RULES, days, [1 + sign * step * (number == group) for number in range(4)]).k
            for sign in (1, -1)
        )
        assert moves[group] == pytest.approx(float((up - down) / (2 * step)), abs=1e-5 * (1 + k))


@DRAWN
@given(st.integers(0, 400), st.floats(0.01, 8), st.integers(20, 5000))
def test_a_cohort_has_the_interval_of_a_negative_binomial(joins, unevenness, users):
    """Between those where just so many joins, and one more, are too rare: neither too careful nor too bold."""
    low, high = one_cohort(joins, 1, users, unevenness)
    size = users / unevenness

    def at_most(count, mean):
        return nbinom.cdf(count, size, size / (size + mean))

    assert at_most(joins - 1, high) <= 0.025 <= at_most(joins, high)
    assert 1 - at_most(joins, low) <= 0.025
    assert joins == 0 or 1 - at_most(joins - 1, low) >= 0.025
    assert low <= joins < high


def test_without_unevenness_the_bounds_are_poissons():
    low, high = one_cohort(10, 4, 100, 0.0)
    assert poisson.cdf(9, 4 * high) < 0.025 < poisson.cdf(10, 4 * high)
    assert 1 - poisson.cdf(10, 4 * low) < 0.025 < 1 - poisson.cdf(9, 4 * low)
    assert (4 * low, 4 * high) == pytest.approx((5.14, 17.74), abs=0.01)  # chi-square of 21 degrees of freedom, halved


def test_few_joins_have_sane_bounds():
    """Resampling a cohort without joins yields 0 to 0, as if K were known."""
    low, high = one_cohort(0, 20, 50, 3.0)
    assert low == 0
    assert 0.1 < high < 0.25
    low, high = one_cohort(1, 20, 50, 3.0)
    assert 0 < low < 0.05 < high < 0.4
    assert np.isnan(one_cohort(0, 0, 50, 3.0)).all()
    assert np.isnan(one_cohort(0, 0.4, 2, 3.0)).all()
    assert np.isnan(one_cohort(0, 0, 0, 3.0)).all()


def test_intervals_widen_with_unevenness_and_with_the_noise_of_the_lags():
    plain, uneven, noisy = (one_cohort(40, 100, 120, *more) for more in ((0.0,), (3.0,), (3.0, 0.05)))
    assert noisy[0] < uneven[0] < plain[0] < 0.4 < plain[1] < uneven[1] < noisy[1]


@pytest.mark.parametrize("unevenness", [0.0, 1.0, 3.0])
def test_dispersion_is_found_whatever_the_ages_and_sizes_of_cohorts(unevenness):
    """Taken as joins' variance over their mean it would differ from one age to the next."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(30):
        users = rng.integers(30, 200, 60)
        row = np.repeat(np.arange(60), users)
        maturity = np.linspace(0.1, 1, 60)[row]
        # One great tree fills nearly all of every other cohort.
        group = np.where((row % 2 == 0) & (rng.random(len(row)) < 0.9), 7, rng.integers(0, 64, len(row)))
        activity = rng.gamma(1 / unevenness, unevenness, len(row)) if unevenness else 1.0
        brought = rng.poisson(0.8 * maturity * activity)
        joins, exposure = np.zeros((60, 64)), np.zeros((60, 64))
        np.add.at(joins, (row, group), brought)
        np.add.at(exposure, (row, group), maturity)
        found.append(dispersion(joins, exposure, users))
    assert np.mean(found) == pytest.approx(unevenness, rel=0.06, abs=0.05)
    order = rng.permutation(64)
    assert dispersion(joins[:, order], exposure[:, order], users) == pytest.approx(found[-1])
    assert dispersion(joins[::-1], exposure[::-1], users[::-1]) == pytest.approx(found[-1])


def test_dispersion_is_not_guessed_where_nothing_can_be_compared():
    """One group fills each cohort: its own K leaves nothing over, which is not to say that joins are even."""
    alone = np.zeros((3, 64))
    alone[:, 5] = [4, 7, 2]
    assert dispersion(alone, alone * 2, np.array([9, 9, 9])) is None
    assert dispersion(np.zeros((3, 64)), np.ones((3, 64)), np.array([64, 64, 64])) is None
    both = alone.copy()
    both[:, 6] = 1
    assert dispersion(both, both * 2, np.array([9, 9, 9])) == 0


def test_trees_that_differ_are_covered_by_groups_and_not_by_independent_joins():
    """K of the trees is the half of it to twice it: joins that vary by tree vary more than Poisson by far."""
    rng = np.random.default_rng(5)
    by_groups = as_poisson = 0
    for _ in range(300):
        exposure = rng.gamma(4, 5, 64)
        joins = rng.poisson(0.6 * rng.gamma(4, 0.25, 64) * exposure)
        low, high, _ = vars(pooled_interval(joins, exposure, np.zeros(64))).values()
        by_groups += low <= 0.6 <= high
        low, high = one_cohort(joins.sum(), exposure.sum(), 1000, 0.0)
        as_poisson += low <= 0.6 <= high
    assert 0.91 <= by_groups / 300 <= 0.99
    assert as_poisson / 300 < 0.8


def test_few_great_trees_know_as_little_as_few_trees():
    """64 groups, of which one holds nearly everything: counted as 64 they would pass for certain."""
    rng = np.random.default_rng(6)
    exposure = np.full(64, 20.0)
    joins = rng.poisson(12, 64)
    even = pooled_interval(joins, exposure, np.zeros(64))
    assert even.effective_groups == pytest.approx(64)
    great = np.array([*[1200.0] * 4, *[1.0] * 60])
    few = pooled_interval(np.array([700, 740, 690, 720, *rng.poisson(0.6, 60)]), great, np.zeros(64))
    assert 4 < few.effective_groups < 5
    one = pooled_interval(joins, np.array([20_000.0, *[1.0] * 63]), np.zeros(64))
    assert (one.low, one.high) == (None, None)
    assert one.effective_groups == pytest.approx(1, abs=0.01)
    # Two trees that agree are no proof that a third would.
    assert pooled_interval(np.array([300, 100]), np.array([600.0, 200.0]), np.zeros(2)).low is None
    assert pooled_interval(np.zeros(64), np.zeros(64), np.zeros(64)).low is None


def test_a_few_groups_are_covered_all_the_same():
    """Between five groups a spread is known to four degrees of freedom: 2 standard errors hold 88 % of the time."""
    rng = np.random.default_rng(9)
    exposure, covered = np.array([1500.0] * 5), 0
    for _ in range(400):
        bounds = pooled_interval(rng.poisson(0.6 * rng.gamma(100, 0.01, 5) * exposure), exposure, np.zeros(5))
        covered += bounds.low <= 0.6 <= bounds.high
    assert 0.92 <= covered / 400 <= 0.98


def test_trees_that_bend_the_lags_err_with_them():
    """A group with more joins also makes cohorts look more mature: K moves less than its joins alone would say."""
    rng = np.random.default_rng(10)
    exposure = np.full(64, 30.0)
    joins = rng.poisson(20, 64) + np.where(np.arange(64) < 32, 6, -6)
    bent = (joins / joins.mean() - 1) * 30
    alone, together, against = (pooled_interval(joins, exposure, part * bent) for part in (0.0, 0.3, -0.3))
    widths = [one.high - one.low for one in (together, alone, against)]
    assert widths == sorted(widths)
    assert widths[0] < 0.85 * widths[1] < 0.85 * 0.85 * widths[2]


def test_a_pooled_k_of_nothing_is_bounded_from_above():
    bounds = pooled_interval(np.zeros(64), np.full(64, 0.5), np.zeros(64))
    assert bounds.low == 0
    assert 0.05 < bounds.high < 0.15


def test_groups_bend_the_lags_by_nothing_together():
    rng = np.random.default_rng(7)
    hazards = rng.poisson(0.2, (64, 49)) / 100
    at_risk = rng.integers(1, 40, (64, 49))[:, ::-1].cumsum(axis=1)[:, ::-1]
    bends = influence(hazards, at_risk)
    assert np.abs(bends.sum(axis=0)).max() < 1e-12
    assert np.abs(bends[:, -1]).max() < 1e-12
    noise = exposure_noise(bends[:, 10:12].T, np.array([0.5, 0.0]), at_risk[:, 0])
    assert noise[0] == pytest.approx((bends[:, 10] ** 2).sum() / 0.25, rel=0.1)
    assert noise[1] == 0


def test_what_cannot_be_is_refused():
    joins = np.ones((3, 64))
    with pytest.raises(ValueError, match="one shape"):
        dispersion(joins, joins[:2], np.ones(3))
    with pytest.raises(ValueError, match="one shape"):
        dispersion(joins, joins, np.ones(2))
    with pytest.raises(ValueError, match="below 0"):
        dispersion(-joins, joins, np.ones(3))
    with pytest.raises(ValueError, match="below 0"):
        pooled_interval(np.ones(64), np.full(64, np.nan), np.zeros(64))
