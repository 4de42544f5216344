"""[pure] Channel weights scaled until what is shared within journeys adds up to given totals of channels.

Each conversion is shared among the distinct channels of its journey in proportion to their weights. Scaling a weight by
how far its channel's total is off, again and again, ends where both agree, if they can: iterative proportional fitting
(Deming and Stephan, 1940), here of the table of journeys by channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

STEPS, TOLERANCE = 10_000, 1e-10
FLOOR = 1e-300
"""Least weight while scaling: 0 would never come back."""

Sets = Mapping[frozenset[str], int]
"""Conversions by the distinct channels of their journeys, never none."""


@dataclass(frozen=True)
class Reconciled:
    """weights: by channel, sorted, adding up to 1; credited: the totals that they lead to. gap: half the sum of the
    differences from the targets, as a share of all conversions; feasible: whether it is next to nothing."""

    weights: Mapping[str, float]
    credited: Mapping[str, float]
    gap: float
    feasible: bool
    iterations: int


def credited(sets: Sets, weights: Mapping[str, float]) -> dict[str, float]:
    """Conversions of each channel, shared within journeys in proportion to the weights; evenly where all are 0.

    Raises KeyError for a channel without a weight.
    """
    table = _Table.of(sets)
    row = np.array([float(weights[channel]) for channel in table.channels])
    shared = dict.fromkeys(sorted(weights), 0.0)
    return shared | dict(zip(table.channels, table.credited(row).tolist(), strict=True))


def reconcile(
    sets: Sets, targets: Mapping[str, float], *, tolerance: float = TOLERANCE, steps: int = STEPS
) -> Reconciled:
    """Scale weights until the totals are the targets, or as near as scaling comes to them.

    targets: by channel of the sets, adding up to all conversions. tolerance: of the gap. Raises ValueError where a
    channel has no target or there is nothing to share.
    """
    table = _Table.of(sets)
    if not table.channels or set(targets) != set(table.channels):
        raise ValueError("expected a target for each channel of the journeys, and for no other")
    wanted = np.array([float(targets[channel]) for channel in table.channels])
    total = table.conversions.sum()
    weights = np.full(len(wanted), 1 / len(wanted))

    def gap() -> float:
        return float(np.abs(found - wanted).sum() / 2 / total) if total else 0.0

    found, iterations = table.credited(weights), 0
    while gap() > tolerance and iterations < steps:
        factors = np.divide(wanted, found, out=np.ones_like(wanted), where=found > 0)
        weights = np.maximum(weights * factors, FLOOR)
        weights /= weights.sum()
        found, iterations = table.credited(weights), iterations + 1
    return Reconciled(
        dict(zip(table.channels, weights.tolist(), strict=True)),
        dict(zip(table.channels, found.tolist(), strict=True)),
        gap(),
        gap() <= tolerance,
        iterations,
    )


def least_gap(sets: Sets, targets: Mapping[str, float]) -> float:
    """The smallest gap that any sharing within journeys leaves, whatever it goes by: a linear programme."""
    table = _Table.of(sets)
    places = np.argwhere(table.members)
    wanted = np.array([float(targets[channel]) for channel in table.channels])
    pairs, channels, journeys = len(places), len(wanted), len(table.members)
    # Variables: what each set gives each of its channels, then how far each channel's total is off.
    cost = np.concatenate([np.zeros(pairs), np.ones(channels)])
    whole = np.zeros((journeys, pairs + channels))
    whole[places[:, 0], np.arange(pairs)] = 1
    total = np.zeros((channels, pairs))
    total[places[:, 1], np.arange(pairs)] = 1
    above = np.hstack([total, -np.eye(channels)])
    below = np.hstack([-total, -np.eye(channels)])
    solved = linprog(
        cost,
        A_ub=np.vstack([above, below]),
        b_ub=np.concatenate([wanted, -wanted]),
        A_eq=whole,
        b_eq=table.conversions,
    )
    return max(float(solved.fun) / 2 / table.conversions.sum(), 0.0)


@dataclass(frozen=True)
class _Table:
    """channels: sorted; members: which are in each set, shape (sets, channels); conversions: of each set."""

    channels: tuple[str, ...]
    members: np.ndarray
    conversions: np.ndarray

    @classmethod
    def of(cls, sets: Sets) -> "_Table":
        # Sorted: sums of doubles then do not depend on the order in which the sets came.
        ordered = sorted(sets, key=sorted)
        channels = tuple(sorted(frozenset().union(*ordered)))
        members = np.array([[channel in one for channel in channels] for one in ordered], dtype=bool)
        return cls(
            channels,
            members.reshape(len(ordered), len(channels)),
            np.array([sets[one] for one in ordered], dtype=float),
        )

    def credited(self, weights: np.ndarray) -> np.ndarray:
        parts = np.where(self.members, weights, 0.0)
        parts = np.where(parts.sum(axis=1, keepdims=True) > 0, parts, self.members)
        return self.conversions @ (parts / parts.sum(axis=1, keepdims=True))
