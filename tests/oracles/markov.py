"""Removal effects the long way: the chain is written down from the paths and its states are struck out one by one.

Each strike sends what came into a state to where it leaves to, in fractions; at the end only the start is left.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

Journeys = Iterable[tuple[tuple[str, ...], int, int]]
"""Channels first to last, how many such journeys converted, how many did not."""
Window = tuple[str | None, ...]
CONVERTED, LOST = "converted", "lost"
"""The two ends; windows are tuples."""


def conversion_probability(journeys: Journeys, order: int, removed: str | None = None) -> Fraction:
    """P(conversion) of a chain whose states are windows of `order` touches, blank before the first.

    removed: a window with this channel in it is as good as lost.
    """
    start = (None,) * order
    counts: dict[Window, Counter[Window | str]] = defaultdict(Counter)
    for channels, converted, lost in journeys:
        padded = [*start, *channels]
        windows = [tuple(padded[first : first + order]) for first in range(len(channels) + 1)]
        for here, there in pairwise(windows):
            counts[here][there] += converted + lost
        counts[windows[-1]][CONVERTED] += converted
        counts[windows[-1]][LOST] += lost
    chances = {here: _shares(there, removed) for here, there in counts.items() if there.total()}
    for state in [state for state in chances if state != start]:
        struck = chances.pop(state)
        stay = struck.pop(state, Fraction(0))
        for there in chances.values():
            inflow = there.pop(state, Fraction(0))
            for target, chance in struck.items():
                there[target] = there.get(target, Fraction(0)) + inflow * chance / (1 - stay)
    return chances.get(start, {}).get(CONVERTED, Fraction(0))


def _shares(counts: Counter[Window | str], removed: str | None) -> dict[Window | str, Fraction]:
    shares: dict[Window | str, Fraction] = defaultdict(Fraction)
    for target, count in counts.items():
        # A blank is no channel: None removes nothing.
        is_lost = removed is not None and isinstance(target, tuple) and removed in target
        shares[LOST if is_lost else target] += Fraction(count, counts.total())
    return dict(shares)


def removal_effects(journeys: Journeys, order: int) -> dict[str, Fraction]:
    """1 - P(conversion without the channel) / P(conversion), per channel; 0 when nothing converts."""
    journeys = list(journeys)
    probability = conversion_probability(journeys, order)
    channels = {channel for path, converted, lost in journeys for channel in path if converted + lost}
    return {
        channel: 1 - conversion_probability(journeys, order, channel) / probability if probability else Fraction(0)
        for channel in channels
    }
