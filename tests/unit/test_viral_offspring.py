"""Joins per user: fits, extinction and concentration, held against sums taken term by term."""

from fractions import Fraction
from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.viral.offspring import (
    extinction_probability,
    fit_offspring,
    k_without_top,
    measured_share_of_inviters,
    outbreak_probability,
    share_of_inviters,
    tally,
)
from tests.oracles import viral_offspring as oracle

DRAWN = settings(deadline=None, max_examples=60)
COUNTS = st.lists(st.one_of(st.just(0), st.integers(0, 12)), min_size=1, max_size=40)
MEANS = st.floats(0.05, 4)
DISPERSIONS = st.one_of(st.floats(0.1, 20), st.just(inf))


def drawn(r, k, users, random):
    return random.negative_binomial(k, k / (k + r), users)


@pytest.mark.parametrize(
    ("r", "k", "expected"),
    [(1.5, 0.5, 0.2324081), (1.5, inf, 0.5828116), (0.9, 0.5, 0.0), (0.9, inf, 0.0), (1.0, 0.5, 0.0), (0.0, 1.0, 0.0)],
)
def test_outbreaks_as_often_as_the_literature_says(r, k, expected):
    assert outbreak_probability(r, k) == pytest.approx(expected, abs=5e-8)


@DRAWN
@given(MEANS.filter(lambda r: abs(r - 1) > 0.05), DISPERSIONS)
def test_extinction_is_what_generation_after_generation_leads_to(r, k):
    """The other root, 1, is always there: a solver that lands on it says that nothing ever spreads."""
    assert extinction_probability(r, k) == pytest.approx(oracle.extinction(r, k), abs=1e-9)
    assert extinction_probability(r, k) + outbreak_probability(r, k) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("k", [0.1, 1.0, inf])
@pytest.mark.parametrize("above_one", [1e-3, 1e-6, 1e-9, 2**-52])
def test_just_above_one_an_outbreak_is_as_unlikely_as_its_series_says(k, above_one):
    """Where both roots nearly meet, a root bracketed by fixed numbers is lost."""
    r = 1 + above_one
    expected = 2 * (r - 1) / (r * r * (1 + 1 / k))
    assert outbreak_probability(r, k) == pytest.approx(expected, rel=20 * above_one + 1e-6)


def test_far_above_one_the_rare_extinction_keeps_its_digits():
    """1 - P(outbreak) would be 0."""
    assert log(extinction_probability(50, inf)) == pytest.approx(-50, abs=1e-9)


def test_many_seeds_die_out_only_together():
    alone = extinction_probability(1.5, 0.5)
    assert outbreak_probability(1.5, 0.5, seeds=10) == pytest.approx(1 - alone**10)


@pytest.mark.parametrize(("r", "k", "percent"), [(2, 0.5, 26.4), (1, 0.1, 8.69)])
def test_few_bring_most(r, k, percent):
    assert share_of_inviters(r, k) * 100 == pytest.approx(percent, abs=0.05 if percent > 10 else 0.005)


@DRAWN
@given(MEANS, DISPERSIONS, st.floats(0.05, 1))
def test_the_share_of_inviters_is_found_by_walking_down_from_the_top(r, k, share):
    assert share_of_inviters(r, k, share) == pytest.approx(oracle.share_of_inviters(r, k, share, most=5000), abs=1e-6)


def test_the_share_of_inviters_of_what_people_might_bring_is_another_number():
    """Gamma rates, not counts: for R 1, k 0.1 they give 9.8 %, not 8.7 %."""
    random = np.random.default_rng(8)
    rates = np.sort(random.gamma(0.1, 10.0, 1_000_000))[::-1]
    by_rates = np.searchsorted(rates.cumsum(), 0.8 * rates.sum()) / len(rates)
    assert by_rates == pytest.approx(0.098, abs=0.001)
    assert by_rates > share_of_inviters(1, 0.1) + 0.01


@DRAWN
@given(COUNTS, st.fractions(Fraction(1, 20), 1))
def test_the_measured_share_goes_user_by_user(joins, share):
    expected = oracle.measured_share(joins, share) if sum(joins) else None
    found = measured_share_of_inviters(tally(joins), float(share))
    assert found == (None if expected is None else pytest.approx(float(expected), abs=1e-12))


def test_measured_and_fitted_shares_agree():
    """Two conventions at the border would part them."""
    joins = drawn(2, 0.5, 200_000, np.random.default_rng(3))
    assert measured_share_of_inviters(tally(joins)) == pytest.approx(share_of_inviters(2, 0.5), abs=0.002)


@DRAWN
@given(COUNTS)
def test_no_other_k_is_more_likely(joins):
    fit = fit_offspring(tally(joins))
    assert fit.r == sum(joins) / len(joins)
    if fit.k is None:
        assert sum(joins) == 0
        return
    best = oracle.log_likelihood(joins, fit.r, fit.k)
    for k in [*np.geomspace(0.01, 1000, 40).tolist(), inf]:
        assert oracle.log_likelihood(joins, fit.r, k) <= best + 1e-9
    assert fit.k_low <= fit.k <= fit.k_high
    for end in {fit.k_low, fit.k_high} - {inf}:
        assert 2 * (best - oracle.log_likelihood(joins, fit.r, end)) == pytest.approx(3.841459, abs=1e-4)
    if fit.k_high == inf:
        assert 2 * (best - oracle.log_likelihood(joins, fit.r, inf)) <= 3.8415


@DRAWN
@given(COUNTS)
def test_k_is_infinite_exactly_where_the_variance_is_not_above_the_mean(joins):
    """Levin and Reeds: looked for anyway, it would be whatever bound the search was given."""
    mean = Fraction(sum(joins), len(joins))
    variance = sum((one - mean) ** 2 for one in joins) / len(joins)
    if mean:
        assert (fit_offspring(tally(joins)).k == inf) == (variance <= mean)


def test_the_interval_of_k_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(11)
    fits = [fit_offspring(tally(drawn(0.8, 0.4, 500, random))) for _ in range(400)]
    held = np.mean([fit.k_low <= 0.4 <= fit.k_high for fit in fits])
    assert 0.92 <= held <= 0.98
    assert np.median([fit.k for fit in fits]) == pytest.approx(0.4, rel=0.05)


def test_poisson_counts_do_not_look_like_a_few_carrying_all():
    random = np.random.default_rng(12)
    fits = [fit_offspring(tally(random.poisson(0.8, 500))) for _ in range(100)]
    assert np.mean([fit.k_high == inf for fit in fits]) > 0.94


def test_one_person_among_a_million():
    fit = fit_offspring({0: 999_999, 1000: 1})
    assert 0 < fit.k_low < fit.k < fit.k_high < 1e-6


def test_nobody_joined():
    fit = fit_offspring({0: 7})
    assert (fit.r, fit.k, fit.k_low, fit.k_high) == (0.0, None, 0.0, inf)
    assert measured_share_of_inviters({0: 7}) is None
    assert share_of_inviters(0, 1) is None
    assert k_without_top({0: 7}) == 0


def test_the_top_inviters_leave_with_their_joins():
    """200 inviters: the top 1 % are two of them, not two of all 1,000 users' 1 %."""
    counts = {0: 800, 1: 197, 40: 2, 50: 1}
    assert k_without_top(counts) == (197 + 40) / 998
    assert k_without_top(counts, top=0) == (197 + 40 * 2 + 50) / 1000
    assert k_without_top({1: 3}, top=1) is None
    assert k_without_top({0: 1, 1: 100}, top=0.07) == 93 / 94


def test_the_order_of_users_does_not_matter():
    joins = drawn(1, 0.3, 500, np.random.default_rng(4)).tolist()
    assert fit_offspring(tally(joins)) == fit_offspring(tally(sorted(joins, reverse=True)))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="no users"):
        fit_offspring({})
    with pytest.raises(ValueError, match="below 0"):
        tally([1, -1])
    for r, k in [(-0.1, 1), (inf, 1), (float("nan"), 1), (1, 0), (1, float("nan"))]:
        for call in (extinction_probability, outbreak_probability, share_of_inviters):
            with pytest.raises(ValueError, match="expected r"):
                call(r, k)
    for share in (0, 1.1):
        with pytest.raises(ValueError, match="share"):
            share_of_inviters(1, 1, share)
        with pytest.raises(ValueError, match="share"):
            measured_share_of_inviters({1: 1}, share)
    with pytest.raises(ValueError, match="top"):
        k_without_top({1: 1}, top=1.5)
    with pytest.raises(ValueError, match="seeds"):
        outbreak_probability(1, 1, seeds=0)
