"""[pure] Joins of the next days: a branching process in which a user's invitees join by the lag distribution.

Each day brings arrivals (users whom no credited join within the horizon H explains: seeds and late joins) and referred
joins, K f[a] expected per user of a days before. Arrivals are taken to stay at the level of the last 28 days, four of
each weekday, so that no weekday pattern is needed; K, lags and dispersion to stay as handed in.
What young users have brought is past: K (1 - F(age)) is expected of each of them, whatever it was. A user who brought
many so far would be expected to bring more; that is left aside, as it is wrong where invites go out in one batch.
Late joins among the arrivals grow with K from about 1 on, and the forecast then falls short by some percent; H may be
longer here than elsewhere, which leaves fewer of them.
Source: Crump, Mode (1968), A general age-dependent branching process. Growth rate: Euler-Lotka equation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, log

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

LEVEL = 0.95
LEVEL_DAYS = 28
"""Days whose mean is the level of arrivals: four of each weekday."""
MOST_WEEKS = 12
"""Whole weeks, at most, from which the spread of arrivals around their level is taken: as far back as one looks on."""
HORIZONS = (30, 60, 90)
DRAWS = 2_000
LARGEST_SAME_DAY = 0.95
"""Of K f[0] in a draw: from 1 on, one day would never end."""
NEARLY_SURE = 1e9
"""A Poisson number of a greater mean is taken as its mean, from which it is 0.003 % off."""
MOST_JOINS = 1e15
"""Of one day in a draw: there is nobody left to join long before, and sums stay finite."""


@dataclass(frozen=True, eq=False)
class Spread:
    """How users bring users. k: expected joins within H per user, [low, high] its interval at LEVEL.

    maturity: (H + 1,), the share of them with a lag of at most 0, 1, ... H days, lags being exact; the last is 1.
    dispersion: k of the negative binomial of joins per user; infinite is Poisson.
    """

    k: float
    low: float
    high: float
    maturity: np.ndarray
    dispersion: float = inf


@dataclass(frozen=True)
class Outlook:
    """Joins of the next so many days: expected, of which referred, and the interval at LEVEL."""

    days: int
    expected: float
    referred: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Forecast:
    """outlooks: by horizon. joins, referred: expected on each day up to the longest one. arrivals: expected per day."""

    outlooks: tuple[Outlook, ...]
    joins: np.ndarray
    referred: np.ndarray
    arrivals: float


@dataclass(frozen=True, eq=False)
class Origin:
    """A past day to forecast from. day: its place in the arrays. spread: as known at its end. random: its own draws."""

    day: int
    spread: Spread
    random: np.random.Generator


@dataclass(frozen=True)
class Replay:
    """What was forecast from a past day, and the joins that came; None while the horizon is not over."""

    day: int
    outlook: Outlook
    came: int | None

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds what came."""
        return None if self.came is None else self.outlook.low <= self.came <= self.outlook.high


def forecast(
    arrivals: Sequence[int] | np.ndarray,
    joins: Sequence[int] | np.ndarray,
    spread: Spread,
    random: np.random.Generator,
    horizons: Sequence[int] = HORIZONS,
    draws: int = DRAWS,
) -> Forecast:
    """Joins of the days after the last one, that is after the last whole day.

    arrivals, joins: (days,), by UTC day, 28 days at least; joins are all who joined, arrivals those of them whom no
    credited join within H explains. Nobody is taken to have joined before the first day.
    Expected is exact for the numbers as handed in. The interval is that of so many simulated futures: K drawn from its
    interval on the log scale, the level of arrivals and their spread from what 28 days and up to 12 weeks tell of
    them, joins of users from the negative binomial. K of 0 stays 0, whatever its interval.
    Raises ValueError for columns of unequal length or too short, numbers below 0, more arrivals than joins, no
    horizon, a broken spread.
    """
    arrived, joined = _checked_days(arrivals, joins)
    masses = day_masses(spread.maturity)
    _check_spread(spread, masses)
    if not horizons or min(horizons) < 1 or draws < 1:
        raise ValueError(f"horizons {list(horizons)}, {draws} draws: expected some, from 1 up")
    level = float(arrived[-LEVEL_DAYS:].mean())
    kernel = spread.k * masses
    with np.errstate(over="ignore", invalid="ignore"):
        path = _expected(level, joined, kernel, max(horizons))
    if not isfinite(path.sum()):
        raise ValueError(f"K {spread.k} lets joins grow beyond all numbers")
    totals = _simulated(arrived, joined, spread, masses, max(horizons), draws, random).cumsum(axis=0)
    outlooks = []
    for days in horizons:
        expected = float(path[:days].sum())
        low, high = np.quantile(totals[days - 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
        # Where all hangs on a rare user who brings crowds, the mean can lie outside the quantiles.
        outlooks.append(
            Outlook(days, expected, expected - level * days, min(low, expected), max(high, expected)),
        )
    return Forecast(tuple(outlooks), path, path - level, level)


def backtest(
    arrivals: Sequence[int] | np.ndarray,
    joins: Sequence[int] | np.ndarray,
    origins: Sequence[Origin],
    horizons: Sequence[int] = HORIZONS,
    draws: int = DRAWS,
) -> list[Replay]:
    """What would have been forecast at the end of past days, and what came: by origin, then horizon, as given.

    arrivals, joins: as in forecast; of each origin only the days up to it are looked at. Its spread must be the one
    known then, and its draws are its own, so that one origin's outcome does not hang on the others.
    Raises ValueError as forecast does, for an origin outside the days or with fewer than 28 days up to it.
    """
    replays = []
    for origin in origins:
        if not 0 <= origin.day < len(joins):
            raise ValueError(f"origin {origin.day}: expected one of {len(joins)} days")
        upto = origin.day + 1
        said = forecast(arrivals[:upto], joins[:upto], origin.spread, origin.random, horizons, draws)
        for outlook in said.outlooks:
            coming = joins[upto : upto + outlook.days]
            replays.append(Replay(origin.day, outlook, int(sum(coming)) if len(coming) == outlook.days else None))
    return replays


def day_masses(maturity: Sequence[float] | np.ndarray) -> np.ndarray:
    """f[a], a = 0 ... H: probability that an invitee joins a UTC days after the inviter, for one who joins within H.

    maturity: as in Spread. Exact lags and days differ: a lag of 1.3 days is 1 day or, if the inviter joined late on
    theirs, 2. Within a day inviters join, and lags fall, evenly; so the mean stays that of the lags.
    Raises ValueError for a maturity that falls, leaves [0, 1], does not end at 1, or has fewer than 2 days.
    """
    share = np.asarray(maturity, dtype=float)
    if share.ndim != 1 or len(share) < 2 or not (share[0] >= 0 and (np.diff(share) >= 0).all()):
        raise ValueError("maturity: expected a share by day from 0 to the horizon that never falls")
    if abs(share[-1] - 1) > 1e-9:
        raise ValueError(f"maturity ends at {share[-1]}: expected 1 at the horizon")
    return _by_day(share)


def growth_rate(k: float, masses: np.ndarray) -> float | None:
    """r per day, at which joins grow in the end if nobody arrives: the sum of K f[a] exp(-r a) is 1.

    masses: f[a], see day_masses. Below 0 for K < 1. None for K 0, and where nobody joins later than on the inviter's
    day. Raises ValueError for a K below 0 or with K f[0] >= 1, which has no rate.
    """
    if not (0 <= k < inf and k * masses[0] < 1):
        raise ValueError(f"K {k}, {masses[0]} of it on the first day: expected K from 0 up, K f[0] below 1")
    days = np.flatnonzero(masses[1:]) + 1
    if k == 0 or len(days) == 0:
        return None
    brought = k * masses[days] / (1 - k * masses[0])

    def surplus(rate: float) -> float:
        return float(brought @ np.exp(-rate * days)) - 1

    # At the rate no term is above 1, and the greatest is at least the mean.
    low = float((np.log(brought) / days).max())
    high = float((np.log(brought * len(days)) / days).max())
    return float(brentq(surplus, low - 0.01, high + 0.01, xtol=1e-15, rtol=1e-13))


def doubling_days(rate: float | None) -> float | None:
    """Days in which joins double at this growth rate per day; None unless they grow."""
    return log(2) / rate if rate is not None and rate > 0 else None


def _by_day(cumulated: np.ndarray) -> np.ndarray:
    """From what has come by each exact age to what comes on each day: half of a day's lags cross midnight once more."""
    upto = np.append((cumulated[:-1] + cumulated[1:]) / 2, cumulated[-1])
    return np.diff(upto, prepend=0.0)


def _expected(level: float, joined: np.ndarray, kernel: np.ndarray, days: int) -> np.ndarray:
    """Joins on each coming day. kernel: K f[a]."""
    span = len(kernel) - 1
    path = np.zeros(max(days, span))
    path[:span] = np.convolve(_last(joined, span), kernel)[span:]
    for day in range(days):
        reach = min(day, span)
        path[day] += level + kernel[1 : reach + 1] @ path[day - reach : day][::-1]
        # Those who join bring some on the same day, and these bring others.
        path[day] /= 1 - kernel[0]
    return path[:days]


def _simulated(
    arrived: np.ndarray,
    joined: np.ndarray,
    spread: Spread,
    masses: np.ndarray,
    days: int,
    draws: int,
    random: np.random.Generator,
) -> np.ndarray:
    """(days, draws): joins on each coming day in so many futures.

    A negative binomial is a Poisson number whose mean a gamma one multiplies; so each day's joiners weigh a gamma
    number whose mean is theirs, and bring Poisson numbers on the days after, independent given that weight.
    """
    span = len(masses) - 1
    k = _drawn_k(spread, masses, draws, random)
    level, excess = _drawn_level(arrived, draws, random)
    weights = np.zeros((span + days, draws))
    weights[:span] = _weights(np.repeat(_last(joined, span)[:, None], draws, axis=1), spread.dispersion, random)
    backwards = masses[:0:-1]
    joins = np.empty((days, draws))
    for day in range(days):
        arriving = random.standard_gamma(level / excess) * excess
        new = _poisson(arriving + k * (backwards @ weights[day : day + span]), random)
        weight = _weights(new, spread.dispersion, random)
        joins[day], weights[span + day] = new, weight
        alive = np.flatnonzero(weight) if masses[0] else np.empty(0, dtype=int)
        weight = weight[alive]
        while len(alive):
            new = _poisson(k[alive] * masses[0] * weight, random)
            alive, new = alive[new > 0], new[new > 0]
            weight = _weights(new, spread.dispersion, random)
            joins[day, alive] += new
            weights[span + day, alive] += weight
        np.minimum(joins[day], MOST_JOINS, out=joins[day])
        np.minimum(weights[span + day], MOST_JOINS, out=weights[span + day])
    return joins


def _drawn_k(spread: Spread, masses: np.ndarray, draws: int, random: np.random.Generator) -> np.ndarray:
    """Log-normal on each side of K, so that K is the median and the interval's ends their quantiles."""
    z = random.standard_normal(draws)
    if spread.k == 0:
        return np.zeros(draws)
    one_sided = float(norm.ppf((1 + LEVEL) / 2))
    above = log(spread.high / spread.k) / one_sided
    below = log(spread.k / spread.low) / one_sided if spread.low > 0 else above
    drawn = spread.k * np.exp(z * np.where(z > 0, above, below))
    return np.minimum(drawn, LARGEST_SAME_DAY / masses[0]) if masses[0] > 0 else drawn


def _drawn_level(arrived: np.ndarray, draws: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Arrivals per day, and the excess of their variance / mean over that of Poisson (never 0): (draws,) each.

    The ratio comes from whole weeks, where what is alike within a week shows; it is drawn as uncertain as so few tell
    it. A level that moved in these weeks makes it great, and the interval wide, as it should be.
    """
    weeks = min(len(arrived) // 7, MOST_WEEKS)
    totals = arrived[-7 * weeks :].reshape(weeks, 7).sum(axis=1)
    spare = weeks - 1
    ratio = float(((totals - totals.mean()) ** 2).sum() / totals.mean() / spare) if totals.any() else 1.0
    ratios = np.maximum(ratio * spare / random.chisquare(spare, draws), 1 + 1e-6)
    # Half a user more, so that a month without arrivals does not promise that none will come.
    seen = arrived[-LEVEL_DAYS:].sum() + 0.5
    return random.standard_gamma(seen / ratios) * ratios / LEVEL_DAYS, ratios - 1


def _weights(users: np.ndarray, dispersion: float, random: np.random.Generator) -> np.ndarray:
    return random.standard_gamma(users * dispersion) / dispersion if isfinite(dispersion) else users.astype(float)


def _poisson(means: np.ndarray, random: np.random.Generator) -> np.ndarray:
    drawn = random.poisson(np.minimum(means, NEARLY_SURE)).astype(float)
    return np.where(means > NEARLY_SURE, means, drawn)


def _last(joined: np.ndarray, span: int) -> np.ndarray:
    """So many last days, with zeros before the first one."""
    return np.concatenate((np.zeros(max(span - len(joined), 0)), joined[-span:]))


def _checked_days(arrivals: Sequence[int] | np.ndarray, joins: Sequence[int] | np.ndarray) -> tuple[np.ndarray, ...]:
    arrived, joined = np.asarray(arrivals, dtype=float), np.asarray(joins, dtype=float)
    if arrived.ndim != 1 or arrived.shape != joined.shape or len(arrived) < LEVEL_DAYS:
        raise ValueError(
            f"{arrived.shape} arrivals, {joined.shape} joins: expected one of each per day, {LEVEL_DAYS} up"
        )
    if not ((arrived >= 0) & (arrived <= joined) & (joined < inf)).all():
        raise ValueError("a day's arrivals are below 0 or more than its joins, or its joins are not finite")
    return arrived, joined


def _check_spread(spread: Spread, masses: np.ndarray) -> None:
    if not (0 <= spread.low <= spread.k <= spread.high < inf):
        raise ValueError(f"K {spread.k} in [{spread.low}, {spread.high}]: expected 0 <= low <= K <= high, finite")
    if not spread.dispersion > 0:
        raise ValueError(f"dispersion {spread.dispersion}: expected above 0 (inf is Poisson)")
    if not spread.k * masses[0] < 1:
        raise ValueError(f"K {spread.k}, {masses[0]} of it on the inviter's own day: that day would never end")
