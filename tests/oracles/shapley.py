"""Shapley values by their definition: every order in which the channels may join, one after the other."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from itertools import permutations
from math import factorial

Journeys = Iterable[tuple[tuple[str, ...], int, int]]
"""Channels first to last, how many such journeys converted, how many did not."""
Worth = Callable[[frozenset[str]], Fraction]


def shapley_values(channels: Iterable[str], worth: Worth) -> dict[str, Fraction]:
    """What each channel adds to the worth of those before it, averaged over all orders (at most 6 channels)."""
    channels, worth = sorted(channels), cache(worth)
    added = dict.fromkeys(channels, Fraction(0))
    for order in permutations(channels):
        before = worth(frozenset())
        for place, channel in enumerate(order, start=1):
            after = worth(frozenset(order[:place]))
            added[channel] += after - before
            before = after
    return {channel: total / factorial(len(channels)) for channel, total in added.items()}


def rate_worth(journeys: Journeys) -> Worth:
    """Conversions over journeys, of those with no other channels; 0 where there are none."""
    journeys = list(journeys)

    def worth(members: frozenset[str]) -> Fraction:
        within = [(converted, lost) for path, converted, lost in journeys if path and set(path) <= members]
        walked = sum(converted + lost for converted, lost in within)
        return Fraction(sum(converted for converted, _ in within), walked) if walked else Fraction(0)

    return worth


def count_worth(journeys: Journeys) -> Worth:
    """Conversions of the journeys with no other channels."""
    journeys = list(journeys)
    return lambda members: Fraction(sum(converted for path, converted, _ in journeys if path and set(path) <= members))
