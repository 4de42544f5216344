"""[pure] Removal effects of channels in an absorbing Markov chain of order 1 to 4, solved to the precision of doubles.

The chain: start, then the last channels touched (as many as its order), until conversion or null; probabilities are
shares of the transitions counted. Removing a channel makes every entry into it null, whatever was touched before.
Source: Anderl, Becker, von Wangenheim, Schumann (2016), Mapping the customer journey; ChannelAttribution simulates the
same chain. Counts of order k hold all lower orders (at_order), so a warehouse need keep the highest only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order
from scipy.sparse.linalg import splu

from orchestration.attribution.paths import PathCount
from orchestration.attribution.totals import credited_cents, credited_conversions

MAX_ORDER = 4
FLOW_STEPS = 2000
"""Steps for which the flow through a chain is followed before its equations are factorised instead."""
FLOW_LEFT = 1e-16
"""Flow still under way, as a share of what converted, at which it is left: the most by which a result can be low."""

REMOVALS_AT_ONCE = 32
"""Channels whose removal is followed side by side."""

State = tuple[str, ...]
"""The last channels touched, oldest first: as many as the order, fewer near the start."""
START: State = ()


class End(Enum):
    """How a path ends; never equal to a channel, whatever that is called."""

    CONVERSION = "conversion"
    NULL = "null"


Step = str | End
"""The next channel, or the end."""
Transitions = Mapping[tuple[State, Step], int]
"""How often each step was taken from each state."""


@dataclass(frozen=True)
class MarkovFit:
    """What a chain says of its channels.

    conversion_probability: of a path from the start, in [0, 1]; where the counts are of whole paths, the share of them
    that converted. removal_effects: per channel, sorted, 1 - P(conversion without it) / P(conversion), in [0, 1]; 0
    for all when nothing converts.
    """

    order: int
    conversion_probability: float
    removal_effects: Mapping[str, float]

    def conversions(self, total: int) -> dict[str, Decimal]:
        """The total shared in proportion to the removal effects, twelve decimals, adding up; even when all are 0."""
        return credited_conversions(self.removal_effects, total)

    def revenue_cents(self, total: int) -> dict[str, int]:
        """The total in cents shared in proportion to the removal effects, adding up; even when all are 0."""
        return credited_cents(self.removal_effects, total)


def count_transitions(paths: Iterable[PathCount], order: int) -> Counter[tuple[State, Step]]:
    """The steps that these paths took. A path without channels goes from the start to its end.

    Raises ValueError for an order outside 1 to 4.
    """
    _check_order(order)
    counts: Counter[tuple[State, Step]] = Counter()
    for path in paths:
        state = START
        for channel in path.channels:
            counts[state, channel] += path.conversions + path.nulls
            state = _after(state, channel, order)
        counts[state, End.CONVERSION] += path.conversions
        counts[state, End.NULL] += path.nulls
    return +counts


def at_order(transitions: Transitions, order: int) -> Counter[tuple[State, Step]]:
    """The same paths' transitions at a lower order (or the same): each state forgets its oldest channels.

    Raises ValueError for an order outside 1 to 4. From transitions of a lower order, what was forgotten stays so.
    """
    _check_order(order)
    counts: Counter[tuple[State, Step]] = Counter()
    for (state, step), count in transitions.items():
        counts[state[-order:], step] += count
    return counts


def fit_markov(transitions: Transitions, order: int) -> MarkovFit:
    """Fit and solve the chain that these counts describe.

    States that cannot be reached count for nothing, though their channels are listed (effect 0). What never comes to
    an end, in a loop without exit or a state that nothing leaves, does not convert.
    Raises ValueError for an order outside 1 to 4, a state longer than the order, and a count below 0.
    """
    _check_order(order)
    chain = _Chain.of(transitions, order)
    probability, *without = chain.conversion_probabilities()
    # Rounding alone can take them past 1, and effects below 0.
    effects = [max(1.0 - left / probability, 0.0) if probability else 0.0 for left in without]
    return MarkovFit(order, min(probability, 1.0), dict(zip(chain.channels, effects, strict=True)))


@dataclass(frozen=True)
class _Chain:
    """The part of the chain that matters: states on some way from the start to conversion, the start in row 0.

    channels: all that were named. leaving: count of steps from each state to anywhere else; converting: of those to
    conversion; onward: of those to each state, shape (states, states). A step that stays changes nothing but the time.
    Every state has a way out here, so diag(leaving) - onward is never singular, nor is what removing a channel leaves.
    """

    channels: tuple[str, ...]
    states: tuple[State, ...]
    leaving: np.ndarray
    converting: np.ndarray
    onward: sparse.csr_matrix

    @classmethod
    def of(cls, transitions: Transitions, order: int) -> "_Chain":
        steps: Counter[tuple[State, State | End]] = Counter()
        leaving: Counter[State] = Counter()
        found: set[State] = {START}
        channels: set[str] = set()
        for (state, step), count in transitions.items():
            if count < 0 or len(state) > order:
                raise ValueError(f"{count} transitions from {state}: expected 0 or more, from at most {order} channels")
            channels.update(state)
            if not isinstance(step, End):
                channels.add(step)
            target = step if isinstance(step, End) else _after(state, step, order)
            if count and target != state:
                steps[state, target] += count
                leaving[state] += count
                found.update(one for one in (state, target) if not isinstance(one, End))
        # Sorted: sums of doubles then do not depend on the order in which the counts came.
        states = tuple(sorted(found))
        place: dict[State | End, int] = {state: row for row, state in enumerate(states)}
        place[End.CONVERSION] = converted = len(states)
        rows, columns, counts = [], [], []
        for (state, target), count in steps.items():
            if target is not End.NULL:
                rows.append(place[state])
                columns.append(place[target])
                counts.append(float(count))
        size = converted + 1
        graph = sparse.csr_matrix((counts, (rows, columns)), shape=(size, size))
        reached = breadth_first_order(graph, 0, return_predecessors=False)
        reaching = breadth_first_order(graph.T.tocsr(), converted, return_predecessors=False)
        alive = np.setdiff1d(np.intersect1d(reached, reaching), [converted])
        return cls(
            channels=tuple(sorted(channels)),
            states=tuple(states[row] for row in alive),
            leaving=np.array([float(leaving[states[row]]) for row in alive]),
            converting=graph[alive][:, [converted]].toarray().ravel(),
            onward=graph[alive][:, alive],
        )

    def conversion_probabilities(self) -> list[float]:
        """P(conversion) from the start: first of the chain as it is, then without each channel in turn."""
        if not self.states:
            return [0.0] * (1 + len(self.channels))
        whole, without = 0.0, []
        # In blocks, so that hundreds of channels take no more memory than some; the chain as it is leads each.
        for first in range(0, max(len(self.channels), 1), REMOVALS_AT_ONCE):
            removed = self._removed(self.channels[first : first + REMOVALS_AT_ONCE])
            followed = self._followed(removed)
            whole, *some = (self._factorised(removed) if followed is None else followed).tolist()
            without += some
        return [whole, *without]

    def _removed(self, channels: tuple[str, ...]) -> np.ndarray:
        """Which states hold each channel, shape (states, 1 + channels); none of them in the first column."""
        place = {channel: number for number, channel in enumerate(channels, start=1)}
        held = [(row, place[channel]) for row, state in enumerate(self.states) for channel in state if channel in place]
        removed = np.zeros((len(self.states), 1 + len(channels)), dtype=bool)
        if held:
            removed[tuple(np.array(held).T)] = True
        return removed

    def _followed(self, removed: np.ndarray) -> np.ndarray | None:
        """By sending a flow of 1 through the chain, step by step, until next to nothing is under way.

        All removals at once (removed: shape (states, removals)), in sparse products: at high orders the factors of
        these matrices fill up, and take minutes where this takes a second. None when it takes too many steps.
        """
        shares = sparse.diags(1 / self.leaving)
        onward, converting = (shares @ self.onward).T.tocsr(), self.converting / self.leaving
        flow = np.zeros(removed.shape)
        flow[0] = 1.0
        converted = np.zeros(removed.shape[1])
        for _ in range(FLOW_STEPS):
            converted += converting @ flow
            flow = onward @ flow
            flow[removed] = 0.0
            if flow.sum(axis=0).max() <= FLOW_LEFT * converted[0]:
                return converted
        return None

    def _factorised(self, removed: np.ndarray) -> np.ndarray:
        """By sparse LU, one removal after the other: however long the flow would go round."""
        # Counts are whole numbers, exact in doubles; shares would lose the digits of a rare way out.
        balance = (sparse.diags(self.leaving) - self.onward).tocsc()
        probabilities = []
        for without in removed.T:
            kept = np.flatnonzero(~without)
            # The start holds no channel: it is row 0 of whatever is kept.
            probabilities.append(splu(balance[kept][:, kept].tocsc()).solve(self.converting[kept])[0])
        return np.array(probabilities)


def _after(state: State, channel: str, order: int) -> State:
    return (*state, channel)[-order:]


def _check_order(order: int) -> None:
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order {order}: expected 1 to {MAX_ORDER}")
