"""Lags and K of young cohorts: held against the definition in fractions, and against a truth that was drawn from."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma

from orchestration.viral.lags import LagDistribution, fit_lags, k_adjusted, reverse_time_kaplan_meier
from tests.oracles import viral_lags as oracle

DRAWN = settings(deadline=None, max_examples=150)
HORIZON = 30.0
INVITES, ACCEPTED = 3.0, 0.2
LAW = gamma(2.0, scale=5.0)
GRID = np.array([2.0, 5, 10, 15, 20, 25, 30])
TRUTH = LAW.cdf(GRID) / LAW.cdf(HORIZON)
K = INVITES * ACCEPTED * LAW.cdf(HORIZON)


@dataclass(frozen=True)
class Programme:
    """90 days of a programme that doubles every 3 weeks, seen at one instant. ages: days, by user. inviter: user, by
    invite. lag: days from the inviter's join, by invite, NaN where nobody has joined by it, ever or yet."""

    ages: np.ndarray
    inviter: np.ndarray
    lag: np.ndarray

    @classmethod
    def drawn(cls, seed, users=5_000):
        random = np.random.default_rng(seed)
        rate = math.log(2) / 21
        ages = -np.log(1 - random.random(users) * (1 - math.exp(-rate * 90))) / rate
        activity = random.gamma(0.5, 2.0, users)
        inviter = np.repeat(np.arange(users), random.poisson(INVITES * activity))
        lag = LAW.rvs(len(inviter), random_state=random)
        lag[(random.random(len(inviter)) >= ACCEPTED) | (lag > ages[inviter])] = np.nan
        return cls(ages, inviter, lag)

    @property
    def joins(self):
        return self.lag[~np.isnan(self.lag)]

    @property
    def inviter_ages(self):
        return self.ages[self.inviter[~np.isnan(self.lag)]]

    def joins_of(self, youngest, oldest):
        """Joins within the horizon by users of these ages, and the ages of these users."""
        users = (self.ages >= youngest) & (self.ages < oldest)
        return int((self.lag[users[self.inviter]] <= HORIZON).sum()), self.ages[users]


@pytest.fixture(scope="module")
def programmes():
    return [Programme.drawn(seed) for seed in range(40)]


NUMBERS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), max_size=12)


@DRAWN
@given(NUMBERS, st.lists(st.integers(0, 12), max_size=8), st.integers(1, 9))
def test_the_distribution_is_that_of_the_definition(pairs, others, horizon):
    pairs = [(min(pair), max(pair)) for pair in pairs]
    lags, ages = [lag for lag, _ in pairs], [age for _, age in pairs] + others
    fit = fit_lags(lags, ages, horizon)
    for at in range(14):
        expected = oracle.distribution(lags, ages, horizon, at)
        if fit is None:
            assert expected is None
        else:
            assert float(fit.maturity(at)) == pytest.approx(float(expected), abs=1e-12)


@DRAWN
@given(NUMBERS, st.integers(1, 9))
def test_the_cross_check_is_kaplan_meier_with_time_turned_round(pairs, horizon):
    pairs = [(min(pair), max(pair)) for pair in pairs]
    fit = reverse_time_kaplan_meier([lag for lag, _ in pairs], [age for _, age in pairs], horizon)
    for at in range(14):
        expected = oracle.reverse_kaplan_meier(pairs, horizon, at)
        if fit is None:
            assert expected is None
        else:
            assert float(fit.maturity(at)) == pytest.approx(float(expected), abs=1e-12)


def test_a_growing_programme_has_the_lags_that_it_was_drawn_from(programmes):
    """5,000 users, 40 times: each estimator within 1 % of the truth in the mean, at every age."""
    fits = [fit_lags(one.joins, one.ages, HORIZON) for one in programmes]
    checks = [reverse_time_kaplan_meier(one.joins, one.inviter_ages, HORIZON) for one in programmes]
    for found in (fits, checks):
        mean = np.mean([fit.maturity(GRID) for fit in found], axis=0)
        assert mean == pytest.approx(TRUTH, abs=0.01)
        assert mean[2:] == pytest.approx(TRUTH[2:], rel=0.01)
    apart = [np.abs(fit.maturity(GRID) - check.maturity(GRID)).max() for fit, check in zip(fits, checks, strict=True)]
    assert max(apart) < 0.05


def test_k_is_right_while_the_cohort_is_ten_days_old(programmes):
    """What was brought so far is less than half of it."""
    adjusted, observed = [], []
    for one in programmes:
        joins, ages = one.joins_of(9.5, 10.5)
        adjusted.append(k_adjusted(joins, ages, fit_lags(one.joins, one.ages, HORIZON)))
        observed.append(joins / len(ages))
    assert np.mean(adjusted) == pytest.approx(K, rel=0.05)
    assert np.mean(observed) < 0.7 * K


def test_kaplan_meier_over_invites_overstates_k_several_times(programmes):
    """An invite that nobody takes up is not a lag still open: it never ends."""
    one = programmes[0]
    joins, ages = one.joins_of(0, HORIZON)
    lags = [None if math.isnan(lag) else lag for lag in one.lag.tolist()]
    grid = np.linspace(0, HORIZON, 31)
    inviter_ages = one.ages[one.inviter].tolist()
    wrong = [oracle.kaplan_meier_over_invites(lags, inviter_ages, at) for at in grid]
    naive = joins / np.interp(ages, grid, wrong).sum()
    right = k_adjusted(joins, ages, fit_lags(one.joins, one.ages, HORIZON))
    assert right == pytest.approx(K, rel=0.1)
    assert naive > 3 * right


def test_seen_lags_alone_look_faster_than_they_are_and_understate_k(programmes):
    """In a growing programme most inviters are young, and of these only the fast joins are seen."""
    ratios = []
    for one in programmes:
        joins, ages = one.joins_of(0, HORIZON)
        seen = np.sort(one.joins[one.joins <= HORIZON])
        assert oracle.share_of_seen_lags(seen, HORIZON, 10) > TRUTH[2] + 0.05
        shares = LagDistribution(HORIZON, seen, np.arange(1, len(seen) + 1) / len(seen))
        ratios.append(k_adjusted(joins, ages, shares) / k_adjusted(joins, ages, fit_lags(one.joins, one.ages, HORIZON)))
    assert np.mean(ratios) < 0.93


def test_without_a_user_of_the_horizons_age_nothing_is_said():
    """A distribution that ends at the oldest user would call half-grown cohorts mature."""
    assert fit_lags([1, 2], [29.9, 5], HORIZON) is None
    assert fit_lags([1, 2], [30, 5], HORIZON) is not None
    assert fit_lags([], [40], HORIZON) is None
    assert fit_lags([35], [40], HORIZON) is None
    assert fit_lags([], [], HORIZON) is None
    assert reverse_time_kaplan_meier([1, 2], [29.9, 5], HORIZON) is None
    assert reverse_time_kaplan_meier([], [], HORIZON) is None


def test_maturity_is_one_from_the_horizon_on_and_nothing_before_the_first_lag():
    fit = fit_lags([2, 4, 35], [40, 40, 40, 3], HORIZON)
    assert fit.share.tolist() == [pytest.approx(3 / 7), 1.0]
    assert fit.maturity([0, 1.9, 2, 3.9, 4, 30, 99]).tolist() == [0, 0, *[pytest.approx(3 / 7)] * 2, 1, 1, 1]
    assert fit.maturity([[2.0], [40.0]]).shape == (2, 1)
    assert math.isnan(fit.maturity(math.nan))


def test_a_mature_cohort_is_not_adjusted():
    """As the limit of the formula k_adjusted must meet k_observed, to the last digit."""
    fit = fit_lags([2, 4], [40, 40, 3], HORIZON)
    assert k_adjusted(7, [30, 31, 60], fit) == 7 / 3
    assert k_adjusted(0, [30], fit) == 0
    assert k_adjusted(0, [1, 1], fit) is None
    assert k_adjusted(0, [], fit) is None


def test_the_order_of_rows_does_not_move_a_bit(programmes):
    one = programmes[1]
    order = np.random.default_rng(1)
    fit = fit_lags(one.joins, one.ages, HORIZON)
    other = fit_lags(order.permutation(one.joins), order.permutation(one.ages), HORIZON)
    assert np.array_equal(fit.lags, other.lags)
    assert np.array_equal(fit.share, other.share)
    assert k_adjusted(9, one.ages, fit) == k_adjusted(9, order.permutation(one.ages), other)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_numbers_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match="a lag is"):
        fit_lags([bad], [40], HORIZON)
    with pytest.raises(ValueError, match="an age is"):
        fit_lags([1], [40, bad], HORIZON)
    with pytest.raises(ValueError, match="horizon"):
        fit_lags([1], [40], bad)
    with pytest.raises(ValueError, match="an age is"):
        k_adjusted(1, [bad], fit_lags([1], [40], HORIZON))
    with pytest.raises(ValueError, match="an age is"):
        reverse_time_kaplan_meier([1], [bad], HORIZON)


def test_joins_that_nobody_can_have_brought_are_refused():
    """They would divide by nobody: the lags and the users are of two sets."""
    with pytest.raises(ValueError, match="whose join"):
        fit_lags([5], [4], HORIZON)
    with pytest.raises(ValueError, match="inviter's age"):
        reverse_time_kaplan_meier([5, 1], [4, 40], HORIZON)
    with pytest.raises(ValueError, match="expected columns"):
        reverse_time_kaplan_meier([1], [4, 40], HORIZON)
    with pytest.raises(ValueError, match="0 or more"):
        k_adjusted(-1, [40], fit_lags([1], [40], HORIZON))
