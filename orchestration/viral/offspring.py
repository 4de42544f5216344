"""[pure] How many users each user brings: a negative binomial of mean R and dispersion k, and what follows from it.

k says how evenly the joins are spread: infinite is Poisson, at 0.1 a few people carry everything. Counts come as a
tally, those who brought nobody included. Users who are not yet of age H have not brought all that they will: a tally
of them understates R.
Source: Lloyd-Smith, Schreiber, Kopp, Getz (2005), Superspreading and the effect of individual variation on disease
emergence. When k is finite, and that it has one best value: Levin, Reeds (1977), Compound multinomial likelihood
functions are unimodal.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, exp, expm1, inf, isfinite, log1p
from operator import index

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, nbinom, poisson

LEVEL = 0.95
LARGEST_K = 1e7
"""A greater k is told as infinite: a million users cannot tell 10,000 from Poisson."""
SERIES_BELOW = 1e-8
"""Of R - 1: there the series and the rounding of the exact equation are each off by about 1e-8 of the root."""

Tally = Mapping[int, int]
"""Joins of one user -> number of users with so many."""


@dataclass(frozen=True)
class OffspringFit:
    """Joins per user, fitted. r: their mean. k: dispersion, infinite for counts no more spread than Poisson's.

    k_low, k_high: interval of k at LEVEL; k_high is infinite where Poisson cannot be ruled out. Nobody joined: k is
    None, its interval everything. r has no interval here: one that takes users for independent is several times too
    narrow, as those of one tree are alike.
    """

    users: int
    joins: int
    r: float
    k: float | None
    k_low: float
    k_high: float


def tally(joins_per_user: Iterable[int]) -> dict[int, int]:
    """Joins -> users with so many, least first. Raises ValueError for a count below 0, TypeError for a broken one."""
    return _checked(Counter(map(index, joins_per_user)))


def fit_offspring(counts: Tally) -> OffspringFit:
    """R and k of greatest likelihood, and the interval of k by profile likelihood.

    The interval holds each k whose log-likelihood, at the best R, is at most chi2(1) / 2 below the greatest. Where
    Poisson fits best, at the border, the same bound covers more often than LEVEL.
    Raises ValueError for no users and for a number below 0.
    """
    counts = _checked(counts)
    users, joins = _totals(counts)
    if users == 0:
        raise ValueError("no users: nothing to fit")
    r = joins / users
    if joins == 0:
        return OffspringFit(users, joins, r, None, 0.0, inf)
    likelihood = _Likelihood(counts, users, r)
    k = likelihood.best_k()
    floor = likelihood.gain(k) - float(chi2.ppf(LEVEL, 1)) / 2

    def above(at: float) -> float:
        return likelihood.gain(at) - floor

    low = start = min(k, LARGEST_K)
    while above(low) >= 0:
        low /= 10
    bounded = isfinite(k) and above(inf) < 0 and above(LARGEST_K) < 0
    return OffspringFit(
        users, joins, r, k, _root(above, low, start), _root(above, start, LARGEST_K) if bounded else inf
    )


def outbreak_probability(r: float, k: float, seeds: int = 1) -> float:
    """Probability that the spread from so many seeds never dies out; 0 for r <= 1.

    r: mean joins per user, at least 0. k: dispersion above 0, inf for Poisson. Raises ValueError for others.
    """
    _check_parameters(r, k)
    if seeds < 1:
        raise ValueError(f"{seeds} seeds: expected 1 or more")
    return -expm1(seeds * _log_nobody(r, k, _lasting(r, k)))


def extinction_probability(r: float, k: float) -> float:
    """Probability that what one user starts dies out: the smallest root of s = (1 + r (1 - s) / k) ^ -k.

    s = exp(-r (1 - s)) for k = inf; 1 for r <= 1. r at least 0, k above 0, else ValueError.
    """
    _check_parameters(r, k)
    return exp(_log_nobody(r, k, _lasting(r, k)))


def share_of_inviters(r: float, k: float, share: float = 0.8) -> float | None:
    """The least share of all users, 0 to 1, who bring that share of the joins; None for r = 0.

    Users are taken from the most joins down, by the counts that come true (negative binomial), not by what each might
    be expected to bring. Of the users with the last count needed, just the fraction counts that completes the share.
    All users are in the denominator, those who bring nobody too. Raises ValueError for a share outside ]0, 1].
    """
    _check_parameters(r, k)
    _check_share(share)
    if r == 0:
        return None
    if isfinite(k):
        counts, seen_from_joins = nbinom(k, k / (k + r)), nbinom(k + 1, k / (k + r))
    else:
        counts = seen_from_joins = poisson(r)
    # Who brought a join has, beside it, joins of the second law: E[joins; joins > m] = r P(others >= m).
    border = max(int(seen_from_joins.isf(share)) + 1, 1)
    return float(counts.sf(border) + r * (share - seen_from_joins.sf(border - 1)) / border)


def measured_share_of_inviters(counts: Tally, share: float = 0.8) -> float | None:
    """The same of counted joins, by the same convention; None where nobody joined."""
    _check_share(share)
    counts = _checked(counts)
    users, joins = _totals(counts)
    if joins == 0:
        return None
    missing, taken = Fraction(share) * joins, Fraction(0)
    for each, number in sorted(counts.items(), reverse=True):
        if each * number >= missing:
            return float((taken + missing / each) / users)
        missing -= each * number
        taken += number
    raise AssertionError("a share of at most 1 is reached by all users together")


def k_without_top(counts: Tally, top: float = 0.01) -> float | None:
    """Joins per user without the top inviters: neither they nor the joins that they were credited with count.

    top: share of the inviters (users with at least one credited join) to leave out, rounded up to whole persons. The
    joins that their invitees brought stay in. None where nobody else is left. Raises ValueError for top outside [0, 1].
    """
    if not 0 <= top <= 1:
        raise ValueError(f"top {top}: expected a share from 0 to 1")
    counts = _checked(counts)
    users, joins = _totals(counts)
    # 7 % of 100 is 7 persons, not the 8 that 7.000000000000001 would be rounded up to.
    out = ceil(round(top * (users - counts.get(0, 0)), 9))
    left = users - out
    for each, number in sorted(counts.items(), reverse=True):
        joins -= each * min(number, out)
        out -= min(number, out)
    return joins / left if left else None


class _Likelihood:
    """Of k at the best R, which is the mean whatever k is."""

    def __init__(self, counts: Tally, users: int, r: float) -> None:
        # log of (k)(k + 1)...(k + y - 1), summed over users, needs only how many have more than j joins.
        most = max(counts)
        exactly = np.zeros(most + 1)
        exactly[list(counts)] = list(counts.values())
        self._more_than = exactly[::-1].cumsum()[::-1][1:]
        self._joins_before = np.arange(most, dtype=float)
        self._users, self._r = users, r
        joins = _totals(counts)[1]
        squares = sum(number * each * each for each, number in counts.items())
        self._overdispersed = users * (squares - joins) > joins * joins

    def gain(self, k: float) -> float:
        """Log-likelihood above that of Poisson."""
        if not isfinite(k):
            return 0.0
        terms = self._more_than * np.log1p((self._joins_before - self._r) / (k + self._r))
        return float(terms.sum()) - self._users * (k * log1p(self._r / k) - self._r)

    def best_k(self) -> float:
        """Infinite exactly where the variance is not above the mean."""
        if not self._overdispersed:
            return inf
        low = high = 1.0
        while self._slope(low) <= 0:
            low /= 10
        while self._slope(high) > 0:
            high *= 10
            if high > LARGEST_K:
                return inf
        return _root(self._slope, low, high)

    def _slope(self, k: float) -> float:
        return float((self._more_than / (k + self._joins_before)).sum()) - self._users * log1p(self._r / k)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where the function changes sign, by the logarithm of its argument."""
    if low == high:
        return low
    return exp(brentq(lambda at: function(exp(at)), np.log(low), np.log(high), xtol=1e-12, rtol=1e-12))


def _log_nobody(r: float, k: float, lasting: float) -> float:
    """Log of the probability that none of a user's joins is one of those that last, each with this probability."""
    return -k * log1p(r * lasting / k) if isfinite(k) else -r * lasting


def _lasting(r: float, k: float) -> float:
    """The greatest root q of q = 1 - P(none of the joins lasts | q): 0 for r <= 1."""
    if r <= 1:
        return 0.0

    def surplus(q: float) -> float:
        return -expm1(_log_nobody(r, k, q)) - q

    # The surplus is concave, 0 at 0 and at the root; two terms of its series bound the root from below. Next to 1 they
    # are the root to all digits that r - 1 has, and the surplus itself is mere rounding.
    least = 2 * (r - 1) / (r * r * (1 + 1 / k))
    if r - 1 < SERIES_BELOW:
        return least
    return brentq(surplus, least / 2, 1.0, xtol=1e-300, rtol=1e-14, maxiter=1000)


def _check_parameters(r: float, k: float) -> None:
    if not (0 <= r < inf and k > 0):
        raise ValueError(f"r {r}, k {k}: expected r from 0 up, finite, and k above 0 (inf is Poisson)")


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"share {share}: expected above 0, up to 1")


def _checked(counts: Tally) -> dict[int, int]:
    """Least count first, without those that nobody has."""
    if any(each < 0 or number < 0 for each, number in counts.items()):
        raise ValueError("a number of joins or of users is below 0")
    return {each: number for each, number in sorted(counts.items()) if number}


def _totals(counts: Tally) -> tuple[int, int]:
    """Users, joins."""
    return sum(counts.values()), sum(each * number for each, number in counts.items())
