"""Referrals drawn quickly with a known K, for proofs over many worlds: who joined when, brought by whom, in which tree.

The law is that of the simulator of feeds, without feeds: each user's joins are Poisson about their own activity, which
is Gamma but for a few connectors, whose is Pareto; a join comes an invite lag and a join lag after the inviter's.
"""

from dataclasses import dataclass
from math import exp, factorial

import numpy as np

from orchestration.viral.history import GROUPS, History

NOBODY = -1
FIRST_DAY = 20_000
"""Since 1970 UTC, of a history."""


@dataclass(frozen=True)
class Spread:
    """A programme. k: expected joins of a user within horizon_days of their own join.

    seeds_per_day: users who come without an invite, evenly over all days. change: (day, factor): of the invites sent
    from that day on, factor times as many are taken up. lag_scale_days: of both legs, gamma of whole shapes.
    The defaults of activity make joins per user about as uneven as a negative binomial of dispersion 0.3.
    """

    k: float
    seeds_per_day: float
    days: int = 150
    change: tuple[float, float] | None = None
    horizon_days: int = 30
    invite_lag_shape: int = 2
    join_lag_shape: int = 1
    lag_scale_days: float = 4.2
    activity_shape: float = 0.4
    connector_share: float = 0.03
    connector_mean: float = 7.0
    connector_alpha: float = 3.0
    most_users: int = 200_000

    def lag_share(self, age_days: float) -> float:
        """Share of all joins, those after the horizon too, that come within this age of the inviter."""
        at = age_days / self.lag_scale_days
        shape = self.invite_lag_shape + self.join_lag_shape
        return 1 - exp(-at) * sum(at**term / factorial(term) for term in range(shape))


@dataclass(frozen=True, eq=False)
class Referrals:
    """Users by generation. joined: days, 0 is the first; inviter: user or NOBODY; root: user whose tree it is."""

    joined: np.ndarray
    inviter: np.ndarray
    root: np.ndarray

    @property
    def brought(self) -> np.ndarray:
        """Those who have an inviter."""
        return self.inviter != NOBODY

    @property
    def lag(self) -> np.ndarray:
        """Inviter's join to one's own, in days, of those who were brought."""
        return self.joined[self.brought] - self.joined[self.inviter[self.brought]]

    def history(self, rng: np.random.Generator) -> History:
        """Day 0 is FIRST_DAY; trees are dealt to groups at random, and nothing is flagged."""
        group = rng.integers(0, GROUPS, len(self.joined))[self.root]
        joined = FIRST_DAY + self.joined
        return History.of(
            joined=joined,
            group=group,
            inviter_joined=joined[self.inviter[self.brought]],
            lag=self.lag,
            join_group=group[self.brought],
            is_net=np.ones(int(self.brought.sum()), dtype=bool),
        )


def drawn(spread: Spread, rng: np.random.Generator) -> Referrals:
    """Everything until the last day. Raises ValueError above most_users: a K above 1 has no bound of its own."""
    seeds = rng.poisson(spread.seeds_per_day * spread.days)
    here, root = np.sort(rng.random(seeds) * spread.days), np.arange(seeds)
    joined, inviter, roots, first = [here], [np.full(seeds, NOBODY)], [root], 0
    total = seeds
    while len(here):
        parent = np.repeat(np.arange(len(here)), rng.poisson(_joins_expected(spread, rng, len(here))))
        sent = here[parent] + rng.gamma(spread.invite_lag_shape, spread.lag_scale_days, len(parent))
        comes = sent + rng.gamma(spread.join_lag_shape, spread.lag_scale_days, len(parent))
        kept = comes < spread.days
        if spread.change is not None:
            day, factor = spread.change
            kept &= (sent < day) | (rng.random(len(parent)) < factor)
        inviter.append(first + parent[kept])
        first += len(here)
        here, root = comes[kept], root[parent[kept]]
        joined.append(here)
        roots.append(root)
        total += len(here)
        if total > spread.most_users:
            raise ValueError(f"more than {spread.most_users} users: fewer seeds, days or k")
    return Referrals(np.concatenate(joined), np.concatenate(inviter), np.concatenate(roots))


def history_of_world(spread: Spread, rng: np.random.Generator) -> History:
    """Drawn, and as the engine would know it on the last day."""
    return drawn(spread, rng).history(rng)


def _joins_expected(spread: Spread, rng: np.random.Generator, users: int) -> np.ndarray:
    rest = (1 - spread.connector_share * spread.connector_mean) / (1 - spread.connector_share)
    ordinary = rng.gamma(spread.activity_shape, rest / spread.activity_shape, users)
    least = spread.connector_mean * (spread.connector_alpha - 1) / spread.connector_alpha
    connectors = least * (1 + rng.pareto(spread.connector_alpha, users))
    activity = np.where(rng.random(users) < spread.connector_share, connectors, ordinary)
    return activity * spread.k / spread.lag_share(spread.horizon_days)
