"""[pure] 95 % intervals of K, by how much joins vary between groups of referral trees.

Joins of one user, and of one tree, come together: intervals that take joins for independent are too narrow. What
groups of trees differ by, beyond what their exposure explains, is the error of K; the lag distribution is fitted to
the same trees, and its error is carried along by how far each group bends it. Nothing is drawn at random.
Sources: cluster-robust variance with groups weighted by their leverage (CR2), Bell, McCaffrey (2002), Bias reduction
in standard errors for linear regression with multi-stage samples; its degrees of freedom, Satterthwaite (1946).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv
from scipy.stats import norm
from scipy.stats import t as student

LEVEL = 0.95
LEAST_GROUPS = 2.0
"""Effective groups below which a pooled K has no interval: nothing is left to compare the one great tree with."""
LEAST_SIZE = 1.0
"""Of the negative binomial: below it the error of K is greater than K, and no interval is told."""
POISSON = 1e-9
"""Squared relative error beyond Poisson's that stands for none."""


@dataclass(frozen=True)
class PooledInterval:
    """low, high: None where it cannot be told. effective_groups: as many equally great groups know as much."""

    low: float | None
    high: float | None
    effective_groups: float


def influence(hazards: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """How far each group bends F = M(a) / M(H), shape (groups, hours + 1); over groups it sums to 0.

    hazards: each group's part of what M grows by in each hour up to its end, shape (groups, hours + 1).
    at_risk: users of that age or older, by group and whole hour, same shape; somebody at every hour, and M above 0.
    """
    growth = hazards.sum(axis=0)
    cumulated = growth.cumsum()
    bends = (hazards - growth * at_risk / at_risk.sum(axis=0)).cumsum(axis=1)
    return (bends - bends[:, -1:] * (cumulated / cumulated[-1])) / cumulated[-1]


def dispersion(joins: np.ndarray, exposure: np.ndarray, users: np.ndarray) -> float | None:
    """Squared coefficient of variation of what users bring beyond Poisson, pooled over cohorts; 0 is Poisson.

    joins, exposure: by cohort and group, shape (cohorts, groups). users: by cohort. The reciprocal is the dispersion k
    of a negative binomial. Siblings of one tree in one cohort count as one. One day's own would be too noisy.
    None where no join lies in a cohort of two groups or more.
    """
    _check(joins, exposure, users)
    by_cohort, total = joins.sum(axis=1), exposure.sum(axis=1)
    leverage = _share(exposure, total[:, None])
    k = _share(by_cohort, total)
    spread = _over_rest((joins - k[:, None] * exposure) ** 2, leverage).sum(axis=1)
    # A cohort that one group fills tells little of what groups differ by, and that very noisily.
    weight = np.where(total > 0, 1 - leverage.max(axis=1, initial=0.0), 0.0)
    if not (weight * by_cohort).sum() > 0:
        return None
    pooled = (weight * by_cohort).sum() / (weight * total).sum()
    if_users_alike = (weight * _share((pooled * total) ** 2, users)).sum()
    return max(float((weight * (spread - by_cohort)).sum() / if_users_alike), 0.0)


def cohort_intervals(
    joins: np.ndarray, exposure: np.ndarray, users: np.ndarray, dispersion: float, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of K of each cohort; NaN where it has no exposure, or too few users to tell at this dispersion.

    joins, exposure, users: by cohort, all groups together. noise: squared relative error of the exposure, that of the
    lag distribution, by cohort (exposure_noise). Joins of so many users are about negative binomial of size
    users / dispersion; the bounds lie between those of its exact interval and of one that counts no join twice: at
    j + 1/2, as Jeffreys' do.
    """
    return _bounds(joins, exposure, _share(np.full(len(users), float(dispersion)), users) + noise)


def exposure_noise(shift: np.ndarray, exposure: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Squared relative error of each cohort's exposure by that of the lag distribution; 0 without exposure.

    shift: how far each group bends the exposure, shape (cohorts, groups): the influence summed over the members.
    exposure: by cohort. fitted: users that the distribution was fitted on, by group.
    """
    leverage = _share(fitted, np.full(len(fitted), fitted.sum()))
    return _share(_over_rest(shift**2, leverage[None]).sum(axis=1), exposure**2)


def pooled_interval(joins: np.ndarray, exposure: np.ndarray, shift: np.ndarray) -> PooledInterval:
    """Of K = all joins / all exposure, from groups alone: trees may differ in any way, over any number of cohorts.

    joins, exposure, shift (as in exposure_noise): by group, all cohorts together, shape (groups,).
    """
    _check(joins[None], exposure[None], np.ones(1))
    total, brought = exposure.sum(), joins.sum()
    leverage = _share(exposure, np.full(len(exposure), total))
    effective = float(_share(np.ones(1), (leverage**2).sum()[None])[0])
    if effective < LEAST_GROUPS:
        return PooledInterval(None, None, effective)
    k = brought / total
    noise = _over_rest((shift / total) ** 2, leverage).sum()
    if brought:
        error = _over_rest(((joins - k * (exposure + shift)) / total) ** 2, leverage).sum() / k**2
        wider = student.ppf((1 + LEVEL) / 2, effective - 1) / norm.ppf((1 + LEVEL) / 2)
        noise = max(noise, error * wider**2 - 1 / brought)
    low, high = (float(bound[0]) for bound in _bounds(brought[None], total[None], noise[None]))
    return PooledInterval(*((None, None) if np.isnan(high) else (low, high)), effective)


def _bounds(joins: np.ndarray, exposure: np.ndarray, beyond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """beyond: squared relative error that is not Poisson's, 1 / size of the negative binomial. No joins: low is 0."""
    size = 1 / np.maximum(beyond, POISSON)
    told = (exposure > 0) & (size >= LEAST_SIZE)
    # P(more than j joins) is the incomplete beta function I(j + 1, size) at mean / (size + mean).
    part = [betaincinv(joins + 0.5, size, (1 + sign * LEVEL) / 2) for sign in (-1, 1)]
    low, high = (np.divide(size * at, (1 - at) * exposure, out=np.full(len(size), np.nan), where=told) for at in part)
    return np.where(told & (joins == 0), 0.0, low), high


def _over_rest(squares: np.ndarray, leverage: np.ndarray) -> np.ndarray:
    """Residuals of a group are small where the group itself has drawn K to its side: 1 / (1 - leverage) undoes it."""
    return _share(squares, np.broadcast_to(1 - leverage, squares.shape))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where whole is 0."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _check(joins: np.ndarray, exposure: np.ndarray, users: np.ndarray) -> None:
    if joins.ndim != 2 or joins.shape != exposure.shape or users.shape != joins.shape[:1]:
        raise ValueError(f"joins {joins.shape}, exposure {exposure.shape}, users {users.shape}: expected one shape")
    if any((column < 0).any() or not np.isfinite(column).all() for column in (joins, exposure, users)):
        raise ValueError("joins, exposure or users are below 0 or not finite")
