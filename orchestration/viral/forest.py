"""[pure] Referral forests from an edge list: who descends from whom, how deep, how large, how fast.

An edge says that a child was brought by a parent. Every user keeps one edge at most, and no one is their own ancestor:
edges that would break this are refused, each with its reason, and all the others count. Nothing here recurses or walks
a user at a time up the tree, so a chain of a million costs no more than a million trees.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import isfinite
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

NOBODY = -1
Reason = Literal["self", "repeated", "second_parent", "cycle"]


@dataclass(frozen=True)
class Refusal:
    """An edge left out. self: the child is the parent. repeated: the child's counted edge once more. second_parent:
    another edge of that child came first. cycle: the parent descends from the child."""

    child: Hashable
    parent: Hashable
    reason: Reason


@dataclass(frozen=True)
class Tree:
    """Everybody who descends from one root. size: with the root. depth: of the deepest, 0 for a root alone.

    users_per_generation: the root first, as long as depth + 1.
    """

    root: Hashable
    size: int
    depth: int
    users_per_generation: tuple[int, ...]


@dataclass(frozen=True)
class Generation:
    """Users so many steps below a root. brought: users of the next generation; realised_k = brought / users.

    Generation 0 joined without an invite; of the last one realised_k is 0.
    """

    generation: int
    users: int
    brought: int

    @property
    def realised_k(self) -> float:
        return self.brought / self.users


@dataclass(frozen=True)
class CycleTime:
    """Inviter's join to invitee's join, in the unit of the times. median, p90: interpolated; None without any.

    measured: edges that count. out_of_order: edges left out because the child joined first. untimed: edges left out
    because the time of one of the two is not known.
    """

    median: float | None
    p90: float | None
    measured: int
    out_of_order: int
    untimed: int


@dataclass(frozen=True, eq=False)
class Forest:
    """All arrays have one entry per user, in the order of `users`: by code point, whatever the order of the edges.

    parent, root: positions in users; NOBODY is the parent of a root, which is its own root. generation: steps below
    the root. children: brought directly. descendants: directly or not. joined: when, NaN where not known.
    refused: by code point of child, parent, reason.
    """

    users: tuple[Hashable, ...]
    parent: np.ndarray
    root: np.ndarray
    generation: np.ndarray
    children: np.ndarray
    descendants: np.ndarray
    joined: np.ndarray
    refused: tuple[Refusal, ...]

    @property
    def seeds(self) -> int:
        """Number of roots, that is of trees."""
        return int((self.parent == NOBODY).sum())

    @property
    def referred(self) -> int:
        """Number of users who have a parent."""
        return len(self.users) - self.seeds

    @cached_property
    def generations(self) -> list[Generation]:
        """Generation 0 first; none for no users."""
        users = np.bincount(self.generation).tolist()
        brought = [*users[1:], 0]
        return [Generation(number, *both) for number, both in enumerate(zip(users, brought, strict=False))]

    @property
    def k_of_seeds(self) -> float | None:
        """Users brought by seeds, per seed. None without users."""
        return self.generations[0].realised_k if self.generations else None

    @property
    def k_after_seeds(self) -> float | None:
        """Users brought by referred users, per referred user, over all generations from 1 on. None without those."""
        brought = sum(one.brought for one in self.generations[1:])
        return brought / self.referred if self.referred else None

    @property
    def k_pooled(self) -> float | None:
        """Users brought per user, seeds in: amplification(k_pooled) is the mean tree size. None without users."""
        return self.referred / len(self.users) if self.users else None

    @property
    def mean_tree_size(self) -> float | None:
        """Users per seed; 1 + k_of_seeds / (1 - k_after_seeds) where somebody was referred. None without users."""
        return len(self.users) / self.seeds if self.users else None

    def trees(self) -> list[Tree]:
        """All of them, in the order of their roots by code point."""
        if not self.users:
            return []
        roots, number = np.unique(self.root, return_inverse=True)
        depth = np.zeros(len(roots), dtype=np.int64)
        np.maximum.at(depth, number, self.generation)
        starts = np.concatenate(([0], np.cumsum(depth + 1)))
        counts = np.bincount(starts[number] + self.generation, minlength=starts[-1]).tolist()
        trees = []
        for root, start, end in zip(roots.tolist(), starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            here = tuple(counts[start:end])
            trees.append(Tree(self.users[root], sum(here), end - start - 1, here))
        return trees

    def cycle_time(self) -> CycleTime:
        """Of all counted edges."""
        child = np.flatnonzero(self.parent != NOBODY)
        times = self.joined[child] - self.joined[self.parent[child]]
        known = times[~np.isnan(times)]
        measured = known[known >= 0]
        median, p90 = np.quantile(measured, [0.5, 0.9]).tolist() if len(measured) else (None, None)
        return CycleTime(median, p90, len(measured), len(known) - len(measured), len(times) - len(known))


def build_forest(
    children: Sequence[Hashable], parents: Sequence[Hashable | None], times: Sequence[float] | None = None
) -> Forest:
    """The forest of these edges, one per row: who joined, by whom (None: by nobody), and when, in any unit.

    Seeds who brought nobody are in the forest only if they have a row with no parent. A time is the child's join; NaN
    is not known; of several times of a user the earliest counts. Of several edges of a child the first one counts: the
    earliest in time (unknown ones last, ties: least parent by code point), or without times the first row. Of each
    cycle the edge of the user who joined first is refused, as no one joins by the invite of somebody who came later;
    without times, or at a tie, that of the least child by code point. Ids are compared by str().
    Raises ValueError for columns of unequal length or an infinite time, TypeError for an id that cannot be hashed.
    """
    rows = len(children)
    known = np.full(rows, np.nan) if times is None else np.asarray(times, dtype=float)
    if len(parents) != rows or known.shape != (rows,):
        raise ValueError(f"{rows} children, {len(parents)} parents, times {known.shape}: expected equal lengths")
    if np.isinf(known).any():
        raise ValueError("a time is infinite: NaN is not known")
    users = _by_code_point(chain(children, (parent for parent in parents if parent is not None)))
    place = {user: position for position, user in enumerate(users)}
    place_or_nobody = {**place, None: NOBODY}
    child = np.fromiter((place[one] for one in children), np.int64, rows)
    by = np.fromiter((place_or_nobody[one] for one in parents), np.int64, rows)
    joined = np.full(len(users), np.nan)
    np.fmin.at(joined, child, known)

    parent, refused = _one_parent_each(len(users), child, by, None if times is None else known)
    for member in _cut(parent, joined):
        refused.append((member, int(parent[member]), "cycle"))
        parent[member] = NOBODY
    root, generation = _roots(parent)
    return Forest(
        users=tuple(users),
        parent=parent,
        root=root,
        generation=generation,
        children=np.bincount(parent[parent != NOBODY], minlength=len(users)),
        descendants=_descendants(parent, generation),
        joined=joined,
        refused=tuple(Refusal(users[one], users[other], reason) for one, other, reason in sorted(refused)),
    )


def amplification(k: float) -> float | None:
    """Users that one seed ends up with, itself included: 1 / (1 - k); None for k >= 1, where nothing bounds them.

    Raises ValueError for k below 0 or not finite.
    """
    return 1 / (1 - k) if _checked(k) < 1 else None


def users_within(k: float, generations: int) -> float:
    """Expected users that one seed has after so many generations, itself included: 1 + k + ... + k^generations.

    Not (1 + k)^generations, which lets each user bring their k again in every generation.
    Raises ValueError for k below 0 or not finite, and for generations below 0.
    """
    if generations < 0:
        raise ValueError(f"{generations} generations: expected 0 or more")
    _checked(k)
    return float(sum(k**number for number in range(generations + 1)))


def _checked(k: float) -> float:
    if not (k >= 0 and isfinite(k)):
        raise ValueError(f"k {k}: expected 0 or more, finite")
    return k


def _by_code_point(ids: Iterable[Hashable]) -> list[Hashable]:
    return sorted(dict.fromkeys(ids), key=str)


def _one_parent_each(
    users: int, child: np.ndarray, by: np.ndarray, times: np.ndarray | None
) -> tuple[np.ndarray, list[tuple[int, int, Reason]]]:
    """Parent of each user by the edge that counts, and the edges that do not. times: None for the order of rows."""
    refused: list[tuple[int, int, Reason]] = [(one, one, "self") for one in child[child == by].tolist()]
    edges = np.flatnonzero((by != NOBODY) & (by != child))
    order = edges if times is None else edges[np.lexsort((by[edges], times[edges]))]
    order = order[np.argsort(child[order], kind="stable")]
    first = np.ones(len(order), dtype=bool)
    first[1:] = child[order][1:] != child[order][:-1]
    parent = np.full(users, NOBODY, dtype=np.int64)
    parent[child[order[first]]] = by[order[first]]
    for row in order[~first].tolist():
        one, other = int(child[row]), int(by[row])
        refused.append((one, other, "repeated" if parent[one] == other else "second_parent"))
    return parent, refused


def _cut(parent: np.ndarray, joined: np.ndarray) -> list[int]:
    """The user of each cycle whose edge is to be refused. parent: one at most per user."""
    child = np.flatnonzero(parent != NOBODY)
    if len(child) == 0:
        return []
    graph = csr_array((np.ones(len(child), dtype=np.int8), (child, parent[child])), shape=(len(parent), len(parent)))
    _, component = connected_components(graph, directed=True, connection="strong")
    member = np.flatnonzero(np.bincount(component)[component] > 1)
    # NaN sorts last: a user whose time is known to be early goes before one of whom nothing is known.
    ordered = member[np.lexsort((member, joined[member], component[member]))]
    return ordered[np.unique(component[ordered], return_index=True)[1]].tolist()


def _roots(parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root and steps to it. Each round doubles the steps that are looked up: a chain of a million takes 20."""
    own = np.arange(len(parent))
    above = np.where(parent == NOBODY, own, parent)
    steps = (parent != NOBODY).astype(np.int64)
    while True:
        further = above[above]
        if np.array_equal(further, above):
            return above, steps
        steps += steps[above]
        above = further


def _descendants(parent: np.ndarray, generation: np.ndarray) -> np.ndarray:
    """Each user hands what they have, and themselves, to their parent: the deepest first."""
    parents = parent.tolist()
    counts = [0] * len(parents)
    for user in np.argsort(-generation, kind="stable").tolist():
        if parents[user] != NOBODY:
            counts[parents[user]] += counts[user] + 1
    return np.array(counts, dtype=np.int64)
