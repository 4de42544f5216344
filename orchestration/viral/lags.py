"""[pure] How long invitees take to join, counted from their inviter's own join, and K of cohorts not yet of full age.

Only joins that have happened are seen, and of young inviters only the fast ones: lags are truncated on the right. An
invite that never led to a join is not a lag that is still open. Ages, lags and horizon are in one unit, any.
Cross-check: reverse-time Kaplan-Meier; Lagakos, Barraj, De Gruttola (1988),
Nonparametric analysis of truncated survival data, with application to AIDS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isfinite

import numpy as np


@dataclass(frozen=True, eq=False)
class LagDistribution:
    """F(a) = P(lag <= a | credited and lag <= horizon), a step function.

    lags: distinct, ascending, none above the horizon, where it steps; share: F there, the last is 1.
    """

    horizon: float
    lags: np.ndarray
    share: np.ndarray

    def maturity(self, ages: np.ndarray | Sequence[float] | float) -> np.ndarray:
        """F at these ages, in their shape: 1 from the horizon on, 0 before the first lag, and for NaN NaN."""
        at = np.asarray(ages, dtype=float)
        steps = np.concatenate(([0.0], self.share))[np.searchsorted(self.lags, at, side="right")]
        return np.where(np.isnan(at), np.nan, steps)

    def by_hour(self) -> "HourlyLags":
        """The same at whole hours, linear in between. Lags and horizon must be in days, the horizon in whole hours.

        Raises ValueError for another horizon.
        """
        hours = round(24 * self.horizon)
        if hours != 24 * self.horizon:
            raise ValueError(f"horizon {self.horizon} days: expected whole hours")
        return HourlyLags(self.maturity(np.arange(hours + 1) / 24))


@dataclass(frozen=True, eq=False)
class HourlyLags:
    """F at whole hours and linear in between: small enough to be stored, and to be summed over users in SQL.

    share: F after 0, 1, ... hours up to the horizon, where it is 1.
    """

    share: np.ndarray

    def maturity(self, ages: np.ndarray | Sequence[float] | float) -> np.ndarray:
        """F at these ages, in days, in their shape: 1 from the horizon on, 0 below age 0, and for NaN NaN."""
        at = np.asarray(ages, dtype=float)
        hour, part = self.places(np.where(np.isnan(at), 0.0, at))
        between = self.share[hour] * (1 - part) + self.share[hour + 1] * part
        return np.where(np.isnan(at), np.nan, np.where(at < 0, 0.0, between))

    def places(self, ages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(whole hour, part of the next hour): F there is share[hour] x (1 - part) + share[hour + 1] x part."""
        last = len(self.share) - 1
        at = np.clip(np.asarray(ages, dtype=float) * 24, 0, last)
        hour = np.minimum(at.astype(np.int64), last - 1)
        return hour, at - hour


def fit_lags(lags: Sequence[float], ages: Sequence[float], horizon: float) -> LagDistribution | None:
    """F = M(a) / M(horizon), M(a) = sum over joins with lag <= a of 1 / (users whose age is at least that lag).

    lags: of the credited joins of these users, inviter's join to invitee's; those above the horizon do not count.
    ages: of all users fitted on, those who brought nobody too. None while no user has the horizon's age, and without
    a join within it.
    Raises ValueError for a number below 0 or not finite, a horizon not above 0, a lag that no user is old enough for.
    """
    seen, old = _sorted("a lag", lags), _sorted("an age", ages)
    _check_horizon(horizon)
    if len(seen) and (len(old) == 0 or seen[-1] > old[-1]):
        raise ValueError(f"a lag of {seen[-1]}, and no user is as old: whose join was it?")
    within = seen[seen <= horizon]
    if len(old) == 0 or old[-1] < horizon or len(within) == 0:
        return None
    distinct, joins = np.unique(within, return_counts=True)
    at_risk = len(old) - np.searchsorted(old, distinct, side="left")
    cumulated = np.cumsum(joins / at_risk)
    return LagDistribution(horizon, distinct, cumulated / cumulated[-1])


def reverse_time_kaplan_meier(
    lags: Sequence[float], inviter_ages: Sequence[float], horizon: float
) -> LagDistribution | None:
    """F(a) = product over lags s > a of 1 - d(s) / n(s): a cross-check of fit_lags from credited joins alone.

    d(s): joins with just that lag; n(s): joins with a lag of at most s whose inviter is at least s old. inviter_ages:
    by join, in the order of the lags. None while no inviter of a join within the horizon has its age, and without any.
    It needs no count of users, but is noisier, and 0 below a lag that all joins at risk share, however few.
    Raises ValueError for columns of unequal length, numbers as in fit_lags, a lag above the inviter's age.
    """
    _check_horizon(horizon)
    _sorted("a lag", lags), _sorted("an age", inviter_ages)
    lag, age = np.asarray(lags, dtype=float), np.asarray(inviter_ages, dtype=float)
    if lag.shape != age.shape:
        raise ValueError(f"{len(lag)} lags, {len(age)} ages of inviters: expected columns of one length")
    if (lag > age).any():
        raise ValueError("a lag is greater than its inviter's age")
    within = lag <= horizon
    lag, age = np.sort(lag[within]), np.sort(age[within])
    if len(lag) == 0 or age[-1] < horizon:
        return None
    distinct, joins = np.unique(lag, return_counts=True)
    # As no lag is above its inviter's age, those with age below s all have lags below s.
    at_risk = np.cumsum(joins) - np.searchsorted(age, distinct, side="left")
    staying = np.cumprod((1 - joins / at_risk)[:0:-1])[::-1]
    return LagDistribution(horizon, distinct, np.append(staying, 1.0))


def k_adjusted(credited_joins: int, ages: Sequence[float], distribution: LagDistribution) -> float | None:
    """K within the horizon of a cohort: its credited joins / the sum of F over the ages of its members.

    credited_joins: those within the horizon of the inviter's join, so far. None while no member is of an age at which
    anybody joined in the fit. Raises ValueError for joins or ages below 0, and for ages that are not finite.
    """
    if credited_joins < 0:
        raise ValueError(f"{credited_joins} credited joins: expected 0 or more")
    expected = fsum(distribution.maturity(_sorted("an age", ages)).tolist())
    return credited_joins / expected if expected else None


def _sorted(name: str, values: Sequence[float]) -> np.ndarray:
    ordered = np.sort(np.asarray(values, dtype=float))
    if len(ordered) and not (ordered[0] >= 0 and isfinite(ordered[-1])):
        raise ValueError(f"{name} is below 0 or not finite")
    return ordered


def _check_horizon(horizon: float) -> None:
    if not 0 < horizon < float("inf"):
        raise ValueError(f"horizon {horizon}: expected above 0, finite")
