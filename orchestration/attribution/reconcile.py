"""[pure] Channel weights by which what is shared within journeys adds up to given totals of channels.

Each conversion is shared among the distinct channels of its journey in proportion to their weights. Where the totals
can be met, the weights are those of Luce's model of choice with these totals as wins, unique up to a factor for all
channels that journeys link. Scaling each weight by how far its total is off, again and again, leads there, slowly
(iterative proportional fitting: Deming and Stephan, 1940); Newton's method leads there in a few steps. Where they
cannot be met, scaling comes as near as any sharing could (Pukelsheim, 2014, Biproportional scaling of matrices and the
iterative proportional fitting procedure), and of all that come as near it ends with totals off in proportion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

STEPS, TOLERANCE = 10_000, 1e-10
FURTHEST = 3.0
"""Most by which a Newton step moves the logarithm of a weight: further out, its parabola is no guide."""
NOTHING = 36.0
"""Logarithms of weights that lie this far apart: the lesser gets 2e-16 of what both share."""
SLACK = 1e-9
"""By which part of all conversions targets may fail to add up to them."""

Sets = Mapping[frozenset[str], int]
"""Conversions by the distinct channels of their journeys, never none."""


@dataclass(frozen=True)
class Reconciled:
    """What weights make of the totals.

    weights: by channel, sorted, adding up to 1; between channels that no journeys link, in proportion to the targets.
    credited: the totals that they lead to. gap: half the sum of the differences from the targets, as a share of all
    conversions, in [0, 1]. feasible: whether some sharing within journeys meets the targets (least_gap is within the
    tolerance); the gap then is too, unless the steps ran out. iterations: steps taken.
    """

    weights: Mapping[str, float]
    credited: Mapping[str, float]
    gap: float
    feasible: bool
    iterations: int


def credited(sets: Sets, weights: Mapping[str, float]) -> dict[str, float]:
    """Conversions of each channel, shared within journeys in proportion to the weights; evenly where all are 0.

    Raises KeyError for a channel without a weight, ValueError for a set without channels.
    """
    table = _Table.of(sets)
    row = np.array([float(weights[channel]) for channel in table.channels])
    shared = dict.fromkeys(sorted(weights), 0.0)
    return shared | dict(zip(table.channels, table.credited(row).tolist(), strict=True))


def reconcile(
    sets: Sets, targets: Mapping[str, float], *, tolerance: float = TOLERANCE, steps: int = STEPS
) -> Reconciled:
    """Find weights that lead to the targets, or as near as weights come to them.

    targets: by channel of the sets, adding up to all conversions. tolerance: of the gap, as a share of all conversions.
    Raises ValueError where a channel has no target or there is nothing to share, and for targets that are negative or
    do not add up.
    """
    table = _Table.of(sets)
    wanted = _wanted(table, targets)
    total = table.conversions.sum()
    feasible = _least_gap(table, wanted) <= tolerance
    # A channel to which nothing is due, or that no conversion holds, keeps weight 0.
    sought = np.flatnonzero((wanted > 0) & (table.conversions @ table.members > 0))
    logs = np.full(len(wanted), -np.inf)
    logs[sought] = np.log(wanted[sought])
    found, iterations = table.credited(_weights(logs)), 0
    step = _newton_step if feasible else _scaling_step

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one - other).sum() / 2 / total) if total else 0.0

    moved = 1.0
    while iterations < steps and apart(found, wanted) > tolerance and (feasible or moved > tolerance):
        logs = step(table, wanted, sought, logs)
        before, found, iterations = found, table.credited(_weights(logs)), iterations + 1
        moved = apart(found, before)
    return Reconciled(
        dict(zip(table.channels, _in_proportion(table, wanted, _weights(logs)).tolist(), strict=True)),
        dict(zip(table.channels, found.tolist(), strict=True)),
        min(apart(found, wanted), 1.0),
        bool(feasible),
        iterations,
    )


def least_gap(sets: Sets, targets: Mapping[str, float]) -> float:
    """The smallest gap that any sharing within journeys leaves, whatever it goes by: a linear programme.

    In other words the most, over groups of channels, by which the conversions of journeys within the group exceed the
    group's targets, as a share of all. Errors as for reconcile.
    """
    table = _Table.of(sets)
    return _least_gap(table, _wanted(table, targets))


@dataclass(frozen=True)
class _Table:
    """channels: sorted; members: which are in each set, shape (sets, channels); conversions: of each set."""

    channels: tuple[str, ...]
    members: np.ndarray
    conversions: np.ndarray

    @classmethod
    def of(cls, sets: Sets) -> "_Table":
        if frozenset() in sets or min(sets.values(), default=0) < 0:
            raise ValueError("conversions of journeys without channels, or fewer than none")
        # Sorted: sums of doubles then do not depend on the order in which the sets came.
        ordered = sorted(sets, key=sorted)
        channels = tuple(sorted(frozenset().union(*ordered)))
        members = np.array([[channel in one for channel in channels] for one in ordered], dtype=float)
        return cls(
            channels,
            members.reshape(len(ordered), len(channels)),
            np.array([sets[one] for one in ordered], dtype=float),
        )

    def shares(self, weights: np.ndarray) -> np.ndarray:
        """Share of each channel in each set, shape (sets, channels)."""
        parts = self.members * weights
        parts = np.where(parts.sum(axis=1, keepdims=True) > 0, parts, self.members)
        return parts / parts.sum(axis=1, keepdims=True)

    def credited(self, weights: np.ndarray) -> np.ndarray:
        return self.conversions @ self.shares(weights)


def _scaling_step(table: _Table, wanted: np.ndarray, sought: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Each weight times how far its total is off."""
    scaled = logs.copy()
    scaled[sought] += np.log(wanted[sought] / table.credited(_weights(logs))[sought])
    return _drawn_together(scaled, sought)


def _newton_step(table: _Table, wanted: np.ndarray, sought: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Towards the top of the concave likelihood whose slope is by how much the totals fall short of the targets."""
    shares = table.shares(_weights(logs))
    found = table.conversions @ shares
    short = (wanted - found)[sought]
    curve = np.diag(found) - (shares * table.conversions[:, None]).T @ shares
    # A factor for all weights changes nothing: the least damping makes the equations solvable.
    move = np.linalg.solve(curve[np.ix_(sought, sought)] + 1e-14 * np.diag(found[sought]), short)
    move -= move.mean()
    move *= min(1.0, FURTHEST / max(np.abs(move).max(), FURTHEST))
    while True:
        stepped = logs.copy()
        stepped[sought] += move
        stepped = _drawn_together(stepped, sought)
        left = (wanted - table.credited(_weights(stepped)))[sought]
        # Still uphill, or hardly past the top: else half of it will do.
        if move @ left >= -move @ short / 2 or np.abs(move).max() < 1e-9:
            return stepped
        move /= 2


def _drawn_together(logs: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """The same shares to the precision of doubles, from weights that do not run out of their range.

    Where targets cannot be met, or only just, some weights go to 0 against others, each kind at its own pace.
    """
    order = sought[np.argsort(logs[sought], kind="stable")]
    nearer = logs.copy()
    nearer[order[1:]] = np.cumsum(np.minimum(np.diff(logs[order]), NOTHING))
    nearer[order[:1]] = 0.0
    return nearer


def _weights(logs: np.ndarray) -> np.ndarray:
    return np.exp(logs - max(logs.max(), -1e300))


def _in_proportion(table: _Table, wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights that add up to 1; channels that no conversions link, to their part of the targets."""
    if not wanted.any():
        return np.full(len(wanted), 1 / len(wanted))
    held = table.members[table.conversions > 0]
    _, part = connected_components(sparse.csr_matrix(held.T @ held), directed=False)
    due = np.bincount(part, weights=np.where(weights > 0, wanted, 0.0))
    whole = np.bincount(part, weights=weights)
    scaled = weights * np.divide(due, whole, out=np.zeros_like(whole), where=whole > 0)[part]
    return scaled / scaled.sum()


def _wanted(table: _Table, targets: Mapping[str, float]) -> np.ndarray:
    if not table.channels or set(targets) != set(table.channels):
        raise ValueError("expected a target for each channel of the journeys, and for no other")
    wanted = np.array([float(targets[channel]) for channel in table.channels])
    total = table.conversions.sum()
    if not np.isfinite(wanted).all() or wanted.min() < 0 or abs(wanted.sum() - total) > SLACK * total:
        raise ValueError(f"targets must be at least 0 and add up to all {total:g} conversions: {dict(targets)}")
    return wanted * (total / wanted.sum()) if total else wanted


def _least_gap(table: _Table, wanted: np.ndarray) -> float:
    """How much of the conversions finds no room under the targets: greatest flow from sets to channels, least cut."""
    total = table.conversions.sum()
    if not total:
        return 0.0
    rows, columns = np.nonzero(table.members)
    pairs = np.arange(len(rows))
    constraints = sparse.csr_matrix(
        (np.ones(2 * len(rows)), (np.concatenate([rows, len(table.conversions) + columns]), np.tile(pairs, 2)))
    )
    # In millionths of all conversions: the solver's tolerances are absolute.
    bounds = np.concatenate([table.conversions, wanted]) * (1e6 / total)
    solved = linprog(-np.ones(len(rows)), A_ub=constraints, b_ub=bounds, method="highs-ds")
    # The channels without room for more are the group that asks for too little. Summed anew: exact, where the flow
    # itself is known only to the solver's tolerance.
    full = solved.ineqlin.marginals[len(table.conversions) :] < -0.5
    within = table.conversions[~(table.members[:, ~full].any(axis=1))].sum()
    return float(max(within - wanted[full].sum(), 0.0) / total)
