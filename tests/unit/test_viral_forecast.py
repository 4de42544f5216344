"""Joins to come: expected ones against a count by generations, intervals against futures that were simulated apart."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma
from scipy.stats import t as student

from orchestration.viral.forecast import (
    Origin,
    Spread,
    backtest,
    day_masses,
    doubling_days,
    forecast,
    growth_rate,
)
from orchestration.viral.lags import fit_lags
from tests.oracles import viral_forecast as oracle

DRAWN = settings(deadline=None, max_examples=60)
H = 30
LAW = gamma(2.0, scale=5.0)
MATURITY = LAW.cdf(np.arange(H + 1)) / LAW.cdf(H)
DISPERSION = 0.3
PAST, AHEAD = 120, 90
GROUPS = 64


@dataclass(frozen=True)
class World:
    """A programme of 210 days from its start. moments: days, by user. root: seed of the tree. invited: moment of the
    inviter's join, NaN for seeds. Each user brings a negative-binomial number, of mean K within H and dispersion 0.3,
    with gamma lags; seeds come at random, more clustered than Poisson by the ratio of variance and mean."""

    moments: np.ndarray
    root: np.ndarray
    invited: np.ndarray

    @classmethod
    def drawn(cls, seed, k, level=40, ratio=3.0, late=True):
        random = np.random.default_rng(seed)
        days = PAST + AHEAD
        per_day = random.negative_binomial(level / (ratio - 1), 1 / ratio, days)
        moments = np.repeat(np.arange(days), per_day) + random.random(per_day.sum())
        root = np.arange(len(moments))
        born = [(moments, root, np.full(len(moments), np.nan))]
        while len(moments):
            brought = random.poisson(random.gamma(DISPERSION, k / LAW.cdf(H) / DISPERSION, len(moments)))
            lags = LAW.rvs(brought.sum(), random_state=random)
            invited, root = np.repeat(moments, brought), np.repeat(root, brought)
            moments = invited + lags
            kept = (moments < days) & (late | (lags <= H))
            moments, root, invited = moments[kept], root[kept], invited[kept]
            born.append((moments, root, invited))
        return cls(*(np.concatenate(column) for column in zip(*born, strict=True)))

    def days(self, horizon=H):
        """Arrivals and joins by day: to arrive is to join without an inviter, or later than the horizon."""
        day, alone = self.moments.astype(int), ~(self.moments - self.invited <= horizon)
        size = PAST + AHEAD
        return np.bincount(day[alone], minlength=size), np.bincount(day, minlength=size)

    def spread(self, at=PAST, horizon=H):
        """K, its interval and the lags as they can be known at that moment, from users of 90 days at most."""
        seen = self.moments < at
        lags, ages = self.moments - self.invited, at - self.moments
        users = seen & (ages <= 90)
        joins = seen & (lags <= horizon) & (at - self.invited <= 90)
        fit = fit_lags(lags[joins], ages[users], horizon)
        group = self.root % GROUPS
        brought = np.bincount(group[joins], minlength=GROUPS)
        due = np.bincount(group[users], weights=fit.maturity(ages[users]), minlength=GROUPS)
        without = np.log((brought.sum() - brought) / (due.sum() - due))
        error = math.sqrt((GROUPS - 1) * without.var())
        k, reach = brought.sum() / due.sum(), math.exp(student.ppf(0.975, GROUPS - 1) * error)
        return Spread(k, k / reach, k * reach, fit.maturity(np.arange(horizon + 1)), DISPERSION)


def known(k, **more):
    return Spread(k, k, k, MATURITY, **more)


def random():
    return np.random.default_rng(4)


DAYS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=28, max_size=40)


def shares(first):
    """A maturity by day in fractions, of 2 to 9 days."""
    masses = st.lists(st.integers(0, 5), min_size=1, max_size=7)
    return masses.map(lambda drawn: [*first, *drawn, 1]).map(
        lambda drawn: [Fraction(sum(drawn[: place + 1]), sum(drawn)) for place in range(len(drawn))]
    )


@DRAWN
@given(DAYS, shares([0, 0]), st.fractions(0, 2, max_denominator=20))
def test_expected_joins_are_those_of_all_generations_together(days, maturity, k):
    """Exactly, in fractions, for K below and above 1. Here nobody brings anybody on the same day."""
    arrivals, joins = [new for new, _ in days], [new + more for new, more in days]
    level = Fraction(sum(arrivals[-28:]), 28)
    expected = oracle.expected_joins(level, joins, k, oracle.day_masses(maturity), 20, 20)
    spread = Spread(float(k), float(k), float(k), np.array(maturity, dtype=float))
    found = forecast(arrivals, joins, spread, random(), horizons=[7, 20], draws=1)
    assert found.joins == pytest.approx([float(each) for each in expected], rel=1e-12)
    assert found.referred == pytest.approx([float(each - level) for each in expected], rel=1e-12, abs=1e-12)
    assert found.outlooks[0].expected == pytest.approx(float(sum(expected[:7])), rel=1e-12)
    assert found.outlooks[1].referred == pytest.approx(float(sum(expected) - 20 * level), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("k", [0.3, 0.8, 1.1, 1.6])
def test_chains_within_one_day_count(k):
    """Who joins in the morning has invitees by night, and these too: one generation a day would fall short."""
    maturity = 1 - 0.5 ** np.arange(12.0)
    maturity[-1] = 1.0
    masses = [float(each) for each in oracle.day_masses([Fraction(each) for each in maturity])]
    assert masses[0] == 0.25
    arrivals, joins = np.arange(30) % 4, np.arange(30)
    expected = oracle.expected_joins(float(arrivals[-28:].mean()), joins.tolist(), k, masses, 30, 200)
    found = forecast(arrivals, joins, Spread(k, k, k, maturity), random(), horizons=[30], draws=1)
    assert found.joins == pytest.approx(expected, rel=1e-10)


@DRAWN
@given(shares([0]))
def test_days_between_joins_are_those_of_lags_from_any_moment_of_a_day(maturity):
    found = day_masses(np.array(maturity, dtype=float))
    assert found == pytest.approx([float(each) for each in oracle.day_masses(maturity)], abs=1e-15)
    assert found.sum() == pytest.approx(1, abs=1e-15)


def test_a_lag_is_not_lengthened_by_half_a_day():
    """To put each lag on the day on which it is over, by whole days, delays growth by half a day per generation."""
    draw = random()
    lags = LAW.rvs(400_000, random_state=draw)
    lags = lags[lags <= H]
    seen = np.bincount((draw.random(len(lags)) + lags).astype(int), minlength=H + 1) / len(lags)
    # Within the first day, where they are rare, lags do not fall evenly.
    assert day_masses(MATURITY) == pytest.approx(seen, abs=0.004)
    assert day_masses(MATURITY)[3:] == pytest.approx(seen[3:], abs=0.0015)
    assert day_masses(MATURITY) @ np.arange(H + 1) == pytest.approx(lags.mean(), rel=0.002)


def test_golden_numbers_by_hand():
    """28 days of 2 arrivals, nobody else; K 1/2, all lags of just 1 day, so that half of a day's come on the next."""
    spread = Spread(0.5, 0.5, 0.5, np.array([0.0, 1.0]))
    assert day_masses(spread.maturity).tolist() == [0.5, 0.5]
    found = forecast([2] * 28, [2] * 28, spread, random(), horizons=[1, 2], draws=1)
    first = (2 + 0.25 * 2) / 0.75
    second = (2 + 0.25 * first) / 0.75
    assert found.joins == pytest.approx([first, second])
    assert found.arrivals == 2
    assert [each.referred for each in found.outlooks] == pytest.approx([first - 2, first + second - 4])


def test_growth_meets_euler_and_lotka():
    """All lags 10 days: K per 10 days. Joins in the long run grow at just the rate that is told."""
    ten = np.zeros(31)
    ten[10] = 1
    assert growth_rate(2.0, ten) == pytest.approx(math.log(2) / 10, rel=1e-12)
    assert growth_rate(0.5, ten) == pytest.approx(-math.log(2) / 10, rel=1e-12)
    assert doubling_days(growth_rate(2.0, ten)) == pytest.approx(10)
    masses = day_masses(MATURITY)
    assert growth_rate(1.0, masses) == pytest.approx(0, abs=1e-12)
    for k in (0.01, 0.4, 0.9, 1.1, 3.0, 20.0):
        rate = growth_rate(k, masses)
        assert k * masses @ np.exp(-rate * np.arange(H + 1)) == pytest.approx(1, rel=1e-9)
    path = forecast([0] * 40, [0] * 39 + [5], known(1.4), random(), horizons=[400], draws=1).joins
    assert math.log(path[399] / path[398]) == pytest.approx(growth_rate(1.4, masses), rel=1e-9)
    assert doubling_days(growth_rate(0.9, masses)) is None
    assert doubling_days(None) is None


def test_growth_has_no_rate_where_nobody_brings_anybody_later():
    assert growth_rate(0.0, day_masses(MATURITY)) is None
    assert growth_rate(0.5, np.array([1.0, 0.0])) is None
    with pytest.raises(ValueError, match="below 1"):
        growth_rate(2.0, np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="below 1"):
        growth_rate(-0.1, np.array([0.5, 0.5]))


def test_below_one_joins_end_at_arrivals_by_one_less_k():
    path = forecast([6] * 40, [6] * 40, known(0.7), random(), horizons=[900], draws=1).joins
    assert path[-1] == pytest.approx(6 / (1 - 0.7), rel=1e-9)


def test_old_users_bring_nobody_any_more():
    """Who has brought K already would bring it once more if a forecast took all users for new ones."""
    joins = [900] * 9 + [0] * 31
    found = forecast([0] * 40, joins, known(0.9), random())
    assert found.outlooks[-1].expected == 0
    young = forecast([0] * 40, [0] * 39 + [100], known(0.9), random(), draws=1)
    assert young.outlooks[-1].expected > 90


def errors(world, spread, arrivals, joins, seed):
    """By horizon: whether the interval holds what came, what was expected and what came."""
    said = forecast(arrivals[:PAST], joins[:PAST], spread, np.random.default_rng(seed))
    came = [int(joins[PAST : PAST + one.days].sum()) for one in said.outlooks]
    return [(one.low <= is_ <= one.high, one.expected, is_) for one, is_ in zip(said.outlooks, came, strict=True)]


def replayed(seeds, k, ratio=3.0, late=True, horizon=H):
    """Coverage, and expected over what came: by horizon, over so many worlds; all estimated from what was seen."""
    found = []
    for seed in range(seeds):
        world = World.drawn(seed, k, ratio=ratio, late=late)
        found.append(errors(world, world.spread(horizon=horizon), *world.days(horizon), seed))
    table = np.array(found, dtype=float)
    return table[:, :, 0].mean(axis=0), table[:, :, 1].sum(axis=0) / table[:, :, 2].sum(axis=0)


@pytest.mark.parametrize(("k", "late"), [(0.3, True), (0.8, True), (1.1, False)])
def test_what_comes_is_near_what_was_expected_and_in_the_interval(k, late):
    """12 worlds each. Independent users or a K taken as sure would leave most of what comes outside at K 1.1."""
    covered, ratio = replayed(12, k, late=late)
    assert covered.min() >= 10 / 12
    assert ratio == pytest.approx(1, abs=0.06)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("clustered", [1.5, 3.0])
@pytest.mark.parametrize(
    ("k", "late", "horizon"), [(0.3, True, 30), (0.8, True, 30), (1.1, False, 30), (1.1, True, 60)]
)
def test_intervals_hold_what_comes_as_often_as_they_say(k, late, horizon, clustered):
    covered, ratio = replayed(200, k, clustered, late, horizon)
    assert covered.min() >= 0.90
    assert covered.max() <= 0.99
    assert ratio == pytest.approx(1, abs=0.05)


def test_late_joins_make_a_growing_programme_grow_faster_and_a_longer_horizon_sees_it():
    """At K 1.1 those who join after H are arrivals, taken as constant, but grow with the rest."""
    _, short = replayed(12, 1.1)
    _, longer = replayed(12, 1.1, horizon=60)
    assert short[2] < longer[2] - 0.02
    assert longer[2] == pytest.approx(1, abs=0.06)


def test_compound_growth_overshoots():
    """(1 + K)^n: the old users are taken to invite as much again in every cycle, for ever."""
    world = World.drawn(3, 0.8)
    _, joins = world.days()
    came = joins[PAST:].sum()
    wrong = oracle.compound_growth(joins[:PAST].sum(), 0.8, AHEAD, LAW.mean())
    right = forecast(*(column[:PAST] for column in world.days()), world.spread(), random()).outlooks[-1].expected
    assert right == pytest.approx(came, rel=0.2)
    assert wrong > 20 * came


def test_the_simulated_futures_have_the_mean_and_spread_of_the_process():
    """Against people drawn one by one: their joins at K 0.8, k 0.3 from a known past, by mean and quantiles."""
    draw, masses = np.random.default_rng(5), day_masses(MATURITY)
    totals = []
    for _ in range(1_500):
        users = [(day - 40, 25) for day in range(40)] + list(enumerate(draw.poisson(10, 30).tolist()))
        coming = sum(number for day, number in users if day >= 0)
        while users:
            days = np.repeat([day for day, _ in users], [number for _, number in users])
            brought = draw.negative_binomial(DISPERSION, DISPERSION / (DISPERSION + 0.8), len(days))
            later = np.repeat(days, brought) + draw.choice(H + 1, brought.sum(), p=masses)
            later = later[(later >= 0) & (later < 30)]
            # The past is seen already: of what users of the past bring only what is still to come counts.
            coming += len(later)
            users = list(enumerate(np.bincount(later, minlength=30).tolist())) if len(later) else []
        totals.append(coming)
    # Arrivals of always 10 a day are told as Poisson, of a level that is not quite sure.
    arrivals, joins = np.full(40, 10), np.full(40, 25)
    said = forecast(arrivals, joins, known(0.8, dispersion=DISPERSION), random(), horizons=[30], draws=4_000).outlooks[
        0
    ]
    assert said.expected == pytest.approx(np.mean(totals), rel=0.01)
    low, high = np.quantile(totals, [0.025, 0.975])
    assert said.high - said.low == pytest.approx(high - low, rel=0.2)
    assert said.high - said.low > high - low


@pytest.mark.parametrize("dispersion", [0.3, math.inf])
@pytest.mark.parametrize("k", [0.8, 1.2])
def test_simulated_futures_lie_around_what_is_expected(k, dispersion):
    """So many users that chance is next to nothing; a third of what they bring joins on their own day."""
    maturity = np.array([0.0, 0.6, 0.8, 1.0])
    spread = Spread(k, k, k, maturity, dispersion)
    for outlook in forecast([10**8] * 40, [3 * 10**8] * 40, spread, random(), [1, 10, 60], 200).outlooks:
        assert outlook.high == pytest.approx(outlook.expected, rel=0.002)
        assert outlook.low == pytest.approx(outlook.expected, rel=0.002)


@pytest.mark.parametrize(("weeks", "quantile"), [(4, 3.1824463), (12, 2.2009852), (30, 2.2009852)])
def test_arrivals_alone_have_the_interval_of_student(weeks, quantile):
    """By hand: the weeks differ as they do, the level is that of 28 days, and both are in doubt."""
    totals = 70_000 + 3_000 * np.resize([1, -1], weeks)
    arrivals = np.repeat(totals / 7, 7)
    ratio = 3_000**2 * min(weeks, 12) / (min(weeks, 12) - 1) / 70_000
    for days in (7, 28):
        variance = ratio * 10_000 * (days + days**2 / 28)
        found = forecast(arrivals, arrivals, known(0.0), random(), [days], 40_000).outlooks[0]
        assert found.expected == pytest.approx(10_000 * days)
        assert found.high - found.low == pytest.approx(2 * quantile * math.sqrt(variance), rel=0.03)


@pytest.mark.parametrize("what", ["k", "dispersion", "arrivals"])
def test_more_uncertainty_makes_a_wider_interval(what):
    arrivals, joins = np.full(84, 10), np.full(84, 25)
    calm = known(0.8)
    said = forecast(arrivals, joins, calm, random()).outlooks[-1]
    if what == "k":
        other = forecast(arrivals, joins, replace(calm, low=0.6, high=1.0), random()).outlooks[-1]
    elif what == "dispersion":
        other = forecast(arrivals, joins, replace(calm, dispersion=0.1), random()).outlooks[-1]
    else:
        waves = np.repeat(np.tile([2, 18], 6), 7)
        other = forecast(waves, joins, calm, random()).outlooks[-1]
    assert other.expected == pytest.approx(said.expected)
    assert other.high - other.low > 1.2 * (said.high - said.low)


def test_a_weekday_pattern_is_no_uncertainty():
    """Nobody at weekends: the level and the spread of whole weeks are those of the same users evenly spread."""
    week = np.tile([14, 14, 14, 14, 14, 0, 0], 12)
    even = forecast(np.full(84, 10), np.full(84, 10), known(0.0), random()).outlooks[0]
    pattern = forecast(week, week, known(0.0), random()).outlooks[0]
    assert (pattern.expected, pattern.low, pattern.high) == (even.expected, even.low, even.high)


def test_the_mean_is_in_the_interval_even_where_one_user_in_thousands_brings_all():
    found = forecast([0] * 28, [0] * 27 + [1], known(5.0, dispersion=0.001), random())
    assert all(one.low <= one.expected <= one.high for one in found.outlooks)


def test_a_programme_without_anybody_promises_neither_joins_nor_none():
    found = forecast([0] * 28, [0] * 28, known(0.0), random()).outlooks[-1]
    assert (found.expected, found.referred, found.low) == (0, 0, 0)
    assert 0 < found.high < 20


def test_growth_beyond_all_bounds_stays_a_number():
    found = forecast([10] * 28, [20] * 28, Spread(6.0, 3.0, 12.0, MATURITY, 0.3), random()).outlooks[-1]
    assert found.low < found.expected < found.high < math.inf


def test_the_same_draws_give_the_same_forecast_and_no_global_randomness_moves_it():
    arguments = [10] * 40, [25] * 40, known(0.8, dispersion=0.3)
    first = forecast(*arguments, random())
    np.random.default_rng().random()
    assert forecast(*arguments, random()).outlooks == first.outlooks
    assert forecast(*arguments, np.random.default_rng(5)).outlooks != first.outlooks


def test_a_replay_says_what_was_said_then():
    """And does not look at what came: to change the days after an origin changes nothing but what came."""
    world = World.drawn(11, 0.8)
    arrivals, joins = world.days()
    days = [PAST - 1, PAST + 40]
    spreads = [world.spread(at=day + 1) for day in days]

    def origins():
        return [Origin(*pair, np.random.default_rng(pair[0])) for pair in zip(days, spreads, strict=True)]

    replays = backtest(arrivals, joins, origins())
    assert [(one.day, one.outlook.days) for one in replays] == [(day, ahead) for day in days for ahead in (30, 60, 90)]
    said = forecast(arrivals[:PAST], joins[:PAST], spreads[0], np.random.default_rng(days[0]))
    assert tuple(one.outlook for one in replays[:3]) == said.outlooks
    assert [one.came for one in replays] == [
        *(joins[PAST : PAST + ahead].sum() for ahead in (30, 60, 90)),
        joins[PAST + 41 : PAST + 71].sum(),
        None,
        None,
    ]
    assert [one.covered is None for one in replays] == [False] * 4 + [True] * 2
    assert replays[0].covered is True
    assert replace(replays[0], came=10**9).covered is False
    other = np.concatenate((joins[: PAST + 41], joins[PAST + 41 :] + 1000))
    changed = backtest(arrivals, other, origins())
    assert [one.outlook for one in changed[3:]] == [one.outlook for one in replays[3:]]
    alone = backtest(arrivals, joins, origins()[1:])
    assert alone == replays[3:]
    assert backtest(arrivals, joins, []) == []


def test_a_replay_of_a_day_outside_is_refused():
    for day in (-1, 40):
        with pytest.raises(ValueError, match="one of 40 days"):
            backtest([1] * 40, [1] * 40, [Origin(day, known(0.5), random())])
    with pytest.raises(ValueError, match="28 up"):
        backtest([1] * 40, [1] * 40, [Origin(20, known(0.5), random())])


@pytest.mark.parametrize(
    ("arrivals", "joins", "match"),
    [
        ([1] * 27, [1] * 27, "28 up"),
        ([1] * 28, [1] * 29, "one of each"),
        ([2] * 28, [1] * 28, "more than its joins"),
        ([-1] * 28, [1] * 28, "below 0"),
        ([0] * 28, [math.inf] * 28, "not finite"),
        ([math.nan] * 28, [1] * 28, "below 0"),
    ],
)
def test_broken_days_are_refused(arrivals, joins, match):
    with pytest.raises(ValueError, match=match):
        forecast(arrivals, joins, known(0.5), random())


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        ({"k": -0.1, "low": -0.2}, "0 <= low"),
        ({"low": 0.6}, "0 <= low"),
        ({"high": math.inf}, "0 <= low"),
        ({"k": math.nan}, "0 <= low"),
        ({"dispersion": 0.0}, "dispersion"),
        ({"maturity": np.array([0.0, 0.5])}, "ends at"),
        ({"maturity": np.array([0.0, 0.9, 0.8, 1.0])}, "never falls"),
        ({"maturity": np.array([-0.1, 1.0])}, "never falls"),
        ({"maturity": np.array([1.0])}, "never falls"),
        ({"maturity": np.array([0.9, 1.0]), "k": 1.2, "high": 1.2}, "never end"),
    ],
)
def test_a_broken_spread_is_refused(broken, match):
    with pytest.raises(ValueError, match=match):
        forecast([1] * 28, [1] * 28, replace(known(0.5), **broken), random())


@pytest.mark.parametrize(("horizons", "draws"), [([], 10), ([0], 10), ([30], 0)])
def test_no_horizon_or_no_draw_is_refused(horizons, draws):
    with pytest.raises(ValueError, match="from 1 up"):
        forecast([1] * 28, [1] * 28, known(0.5), random(), horizons, draws)


def test_growth_without_a_number_is_refused():
    with pytest.raises(ValueError, match="beyond all numbers"):
        forecast([1] * 28, [1] * 28, Spread(4e5, 4e5, 4e5, np.array([0.0, 0.0, 1.0])), random(), [400])
