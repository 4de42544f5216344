"""[pure] What would lift K most: by how many percent K changes when a lever is moved by one percent.

K is joins within H per user; a lever is moved in one segment (everybody, a user type, a channel of the invite) while
all the rest stays, so that a segment's elasticity counts by its share of the joins. What is counted are users old
enough for nothing to be open: of age H + w at least, w being the half width of the window in which the lags next to H
are looked at. Intervals: delete-a-group jackknife over groups of whole referral trees, whose users are alike.
These are associations: who opens an invite, or sends many, may differ in more than that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite

import numpy as np
from scipy.stats import t as student

LEVEL = 0.95
MOVED = 0.1
"""By how much a lever is moved to tell K after it."""
MOST_STEPS = 200
"""Of Newton's method; it takes about ten."""


class Lever(StrEnum):
    """invites_per_user: those who send at all send more, which convert as those of users who send more do.

    open_rate: more invites opened, which convert as opened ones do. conversion_per_invite: more joins per invite.
    cycle_time: every lag longer, so that joins move beyond H.
    """

    INVITES_PER_USER = "invites_per_user"
    OPEN_RATE = "open_rate"
    CONVERSION_PER_INVITE = "conversion_per_invite"
    CYCLE_TIME = "cycle_time"


@dataclass(frozen=True, eq=False)
class LeverCounts:
    """Counts of one kind of segments, which together hold every invite: S segments, G groups of whole trees.

    users: (G,), all of them, whatever their segment: a channel has no users of its own.
    invites, opened: (S, G), counted invites within H days of the user's own join; opened ones among them.
    joins_opened, joins_unopened: (S, G), credited joins within H of the inviter's join, by whether the invite was
    opened. joins_near_horizon: (S, G), credited joins with a lag in [H - w, H + w].
    sent: (N,), distinct numbers of invites of one user, from 1 up. users_by_sent, joins_by_sent: (S, G, N), users who
    sent so many in this segment, and joins within H which these brought.
    Users and joins may be weighted; all are finite and 0 or more, else ValueError, as for shapes that do not fit.
    """

    users: np.ndarray
    invites: np.ndarray
    opened: np.ndarray
    joins_opened: np.ndarray
    joins_unopened: np.ndarray
    joins_near_horizon: np.ndarray
    sent: np.ndarray
    users_by_sent: np.ndarray
    joins_by_sent: np.ndarray

    def __post_init__(self) -> None:
        segments, groups = self._fit_shape()
        expected = {
            "users": (groups,),
            "sent": (len(self.sent),),
            "users_by_sent": (segments, groups, len(self.sent)),
            "joins_by_sent": (segments, groups, len(self.sent)),
        }
        for name in self.__dataclass_fields__:
            # In one layout of memory, as the order of summing hangs on it.
            values = np.array(getattr(self, name), dtype=float, order="C")
            if values.shape != expected.get(name, (segments, groups)):
                raise ValueError(f"{name} {values.shape}: does not fit {segments} segments, {groups} groups")
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"{name}: a number is below 0 or not finite")
            object.__setattr__(self, name, values)
        if (self.opened > self.invites).any():
            raise ValueError("more invites opened than sent")
        if len(np.unique(self.sent)) != len(self.sent) or (self.sent < 1).any():
            raise ValueError("sent: expected distinct numbers of invites from 1 up")

    def _fit_shape(self) -> tuple[int, int]:
        shape = np.shape(self.invites)
        if len(shape) != 2:
            raise ValueError(f"invites {shape}: expected segments by groups")
        return shape


@dataclass(frozen=True)
class LeverRow:
    """One lever in one segment. segment: its place in the counts.

    elasticity: percent by which K of all users changes per percent of the lever; [low, high] its interval at LEVEL.
    k_share: the segment's share of the joins, 0 to 1. k: of all users. k_after: K with the lever 10 % better (cycle
    time: shorter; the others: up), in a straight line; a rate goes up to 1 at most. None where there is nothing to
    tell it from.
    """

    segment: int
    lever: Lever
    elasticity: float | None
    low: float | None
    high: float | None
    k_share: float | None
    k: float | None
    k_after: float | None


def levers(counts: LeverCounts, horizon: float = 30.0, half_width: float = 7.0) -> list[LeverRow]:
    """Every lever of every segment, in the order of the segments, then of Lever.

    Of the joins J of all segments, and J_s of one with opened share o and joins per invite c (c_opened, c_unopened):
    invites_per_user is J_s / J * beta, the slope of log joins on log invites per user, users with invites only, fitted
    as quasi-Poisson; at 1, more invites would convert as all do, which is seldom so. open_rate: J_s / J *
    o (c_opened - c_unopened) / c. conversion_per_invite: J_s / J. cycle_time: -H f(H) / J, f(H) being joins per day of
    lag around H. An interval needs two groups with users and joins in question; it has Student's t with one degree
    less than there are groups, and holds nothing impossible: a share outside [0, 1], an opened share that lifts K
    more than all joins, a gain from longer lags.
    horizon, half_width: H, w, days. Raises ValueError for a horizon not above the half width, or this not above 0.
    """
    if not 0 < half_width < horizon < inf:
        raise ValueError(f"horizon {horizon}, half width {half_width}: expected 0 < half width < horizon")
    told = {
        Lever.INVITES_PER_USER: (_by_invites, -inf, inf),
        Lever.OPEN_RATE: (_by_opens, -inf, 1.0),
        Lever.CONVERSION_PER_INVITE: (_share, 0.0, 1.0),
        Lever.CYCLE_TIME: (lambda sums: _by_cycle_time(sums, horizon, half_width), -inf, 0.0),
    }
    sums = _Sums.of(counts)
    moved = _moved(sums)
    shares = _share(sums)[0]
    joins, users = sums.joins[0].sum(), counts.users.sum()
    k = float(joins / users) if users else None
    columns = {lever: _estimated(rule, sums, least, most) for lever, (rule, least, most) in told.items()}
    rows = []
    for segment in range(len(counts.invites)):
        for lever, (found, low, high) in columns.items():
            elasticity = _or_none(found[segment])
            known = elasticity is not None and k is not None
            rows.append(
                LeverRow(
                    segment,
                    lever,
                    elasticity,
                    _or_none(low[segment]) if known else None,
                    _or_none(high[segment]) if known else None,
                    _or_none(shares[segment]),
                    k,
                    k * (1 + elasticity * float(moved[lever][segment])) if known else None,
                )
            )
    return rows


def marginal_elasticity(sent: np.ndarray, users: np.ndarray, joins: np.ndarray) -> np.ndarray:
    """Slope of log joins on log invites over users who sent some, quasi-Poisson: (...,), NaN where it has no value.

    sent: (N,), invites of one user, above 0. users, joins: (..., N), users with so many, joins that they brought.
    No value: fewer than two numbers of invites, no joins, or joins only of those with the fewest or the most (or so
    nearly that the slope is beyond all sense).
    """
    x = np.log(np.asarray(sent, dtype=float))
    users, joins = np.asarray(users, dtype=float), np.asarray(joins, dtype=float)
    joins = np.where(users > 0, joins, 0.0)
    brought = joins.sum(axis=-1)
    least = np.where(users > 0, x, inf).min(axis=-1, initial=inf)
    most = np.where(users > 0, x, -inf).max(axis=-1, initial=-inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        target = joins @ x / brought
        spread = most - least
    # By counts: the mean of equal logarithms need not be that logarithm.
    has = ((joins > 0) & (x > least[..., None])).any(axis=-1) & ((joins > 0) & (x < most[..., None])).any(axis=-1)
    beta = np.where(has, 1.0, np.nan)
    x = x - np.where(has, target, 0.0)[..., None]
    for _ in range(MOST_STEPS):
        # Given the number of joins, users draw them in proportion to sent ** beta; at the best beta the mean of log
        # sent is that of the joins. The step is damped so that it cannot pass over the root for good.
        exponent = np.where(users > 0, np.where(has, beta, 0.0)[..., None] * x, -inf)
        with np.errstate(invalid="ignore", divide="ignore"):
            tilted = users * np.exp(exponent - exponent.max(axis=-1, keepdims=True, initial=-inf))
            mean = (tilted * x).sum(axis=-1) / tilted.sum(axis=-1)
            variance = (tilted * x * x).sum(axis=-1) / tilted.sum(axis=-1) - mean * mean
            step = np.where(has, -mean / variance, 0.0)
            step = np.where(has, step / (1 + spread * np.abs(step)), 0.0)
        beta = beta + step
        if not np.abs(step).max(initial=0.0) > 1e-12:
            break
    return np.where(np.abs(step) < 1e-9, beta, np.nan)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Over groups, (1 + G, S) and (1 + G, S, N): of all groups first, then without each that has users."""

    invites: np.ndarray
    opened: np.ndarray
    joins_opened: np.ndarray
    joins_unopened: np.ndarray
    joins_near_horizon: np.ndarray
    sent: np.ndarray
    users_by_sent: np.ndarray
    joins_by_sent: np.ndarray

    @classmethod
    def of(cls, counts: LeverCounts) -> "_Sums":
        filled = np.flatnonzero(counts.users > 0)

        def without_each(values: np.ndarray) -> np.ndarray:
            by_group = np.moveaxis(values, 1, 0)
            whole = np.sort(by_group, axis=0).sum(axis=0)
            # Rounding of weighted numbers must not leave less than nothing.
            return np.concatenate((whole[None], np.maximum(whole - by_group[filled], 0.0)))

        names = [name for name in cls.__dataclass_fields__ if name != "sent"]
        return cls(sent=counts.sent, **{name: without_each(getattr(counts, name)) for name in names})

    @property
    def joins(self) -> np.ndarray:
        return self.joins_opened + self.joins_unopened


_Rule = Callable[[_Sums], np.ndarray]
"""Elasticities (1 + G, S) of the sums; not finite where there is none."""


def _share(sums: _Sums) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return sums.joins / sums.joins.sum(axis=1, keepdims=True)


def _by_invites(sums: _Sums) -> np.ndarray:
    return _share(sums) * marginal_elasticity(sums.sent, sums.users_by_sent, sums.joins_by_sent)


def _by_opens(sums: _Sums) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        unopened = sums.invites - sums.opened
        gained = sums.joins_opened - np.where(sums.opened > 0, sums.opened, np.nan) * sums.joins_unopened / unopened
        return gained / sums.joins.sum(axis=1, keepdims=True)


def _by_cycle_time(sums: _Sums, horizon: float, half_width: float) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        density = sums.joins_near_horizon / (2 * half_width)
        # From 0, as the negative of nothing would be told as -0.0.
        return 0.0 - horizon * density / sums.joins.sum(axis=1, keepdims=True)


def _estimated(rule: _Rule, sums: _Sums, least: float, most: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elasticity and its interval by segment, (S,) each; not finite where there is none."""
    found = rule(sums)
    whole, without = found[0], np.sort(found[1:], axis=0)
    groups = len(without)
    if groups < 2:
        return whole, np.full_like(whole, np.nan), np.full_like(whole, np.nan)
    with np.errstate(invalid="ignore"):
        apart = without - without.mean(axis=0)
        error = np.sqrt((groups - 1) / groups * (apart * apart).sum(axis=0))
        # Where a segment has no joins at all, leaving groups out cannot tell how many it might have had.
        error = np.where((error == 0) & (whole == 0), np.nan, error)
        reach = float(student.ppf((1 + LEVEL) / 2, groups - 1)) * error
        return whole, np.maximum(whole - reach, least), np.minimum(whole + reach, most)


def _moved(sums: _Sums) -> dict[Lever, np.ndarray]:
    """Share by which each lever can be moved for the better, up to MOVED, by segment; below 0 where less is better."""
    invites, opened, joins = sums.invites[0], sums.opened[0], sums.joins[0]
    free = np.full(len(invites), MOVED)

    def up_to_one(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        room = np.divide(whole, part, out=np.full(len(part), inf), where=part > 0) - 1
        return np.clip(room, 0.0, MOVED)

    return {
        Lever.INVITES_PER_USER: free,
        Lever.OPEN_RATE: up_to_one(opened, invites),
        Lever.CONVERSION_PER_INVITE: up_to_one(joins, invites),
        Lever.CYCLE_TIME: -free,
    }


def _or_none(value: float) -> float | None:
    return float(value) if isfinite(value) else None
