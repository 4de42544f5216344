"""[pure] Shapley values of channels, from how often each set of channels was met on a path.

The worth of a set S of channels is a rate: conversions over paths, of the paths whose channels all lie in S; 0 for no
channels and where there is no such path. A channel's value is what it adds to the worth, averaged over all orders in
which the channels may join. The values add up to the worth of all channels, the overall conversion rate.
Source: Shapley (1953), A value for n-person games; sampling: Mitchell, Cooper, Frank, Holmes (2022), Sampling
permutations for Shapley value estimation.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import comb
from typing import Literal

import numpy as np

from orchestration.attribution.paths import PathCount
from orchestration.attribution.totals import credited_cents, credited_conversions

EXACT_CHANNELS = 20
"""Up to this many, all sets are looked at: 2^20 of them take 30 MB."""
BLOCKS = 64
"""Blocks of sampled orders, two per channel each; the standard error falls with the root of their number."""
LEAST_BLOCKS = 8
"""Of hundreds of channels, as a feed gone wrong has them: seconds, not minutes, and a greater error, which is told."""


@dataclass(frozen=True)
class SubsetCount:
    """Of the paths on which exactly one set of channels was met: how many, conversions among them, cents of those.

    Raises ValueError for a number below 0 and for more conversions than paths.
    """

    paths: int
    conversions: int = 0
    revenue_cents: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.conversions <= self.paths or self.revenue_cents < 0:
            raise ValueError(f"{self}: expected 0 <= conversions <= paths and no negative revenue")


Subsets = Mapping[frozenset[str], SubsetCount]
"""By the distinct channels of the paths, never none."""


@dataclass(frozen=True)
class ShapleyFit:
    """What each channel adds to the conversion rate.

    values: per channel, sorted; they add up to the overall rate, and may be negative. standard_errors: of the values,
    by sampling alone, 0 when exact. permutations: orders sampled, 0 when exact.
    A rate does not know how often a channel is met: the values weigh the channels of one journey against each other.
    Totals shared by them can give a rare channel more conversions than it was ever part of.
    """

    values: Mapping[str, float]
    standard_errors: Mapping[str, float]
    permutations: int

    @property
    def weights(self) -> dict[str, float]:
        """The values to share by: negative ones are 0.

        A negative value says that paths with the channel convert less often than those without it. No conversion is
        owed to it, and none can be taken back: what conversions there are go to the others, in their own proportions.
        To lift all values by the least one would change those proportions, to take absolute values reward the harm.
        """
        return {channel: max(value, 0.0) for channel, value in self.values.items()}

    def conversions(self, total: int) -> dict[str, Decimal]:
        """The total shared in proportion to the weights, twelve decimals, adding up; even when all are 0."""
        return credited_conversions(self.weights, total)

    def revenue_cents(self, total: int) -> dict[str, int]:
        """The total in cents shared in proportion to the weights, adding up; even when all are 0."""
        return credited_cents(self.weights, total)


def count_subsets(paths: Iterable[PathCount]) -> dict[frozenset[str], SubsetCount]:
    """Paths, conversions and revenue by the distinct channels of the path.

    Raises ValueError for journeys without channels: nobody is there to be credited for them.
    """
    sums: dict[frozenset[str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for path in paths:
        numbers = sums[frozenset(path.channels)]
        for place, number in enumerate((path.conversions + path.nulls, path.conversions, path.revenue_cents)):
            numbers[place] += number
    subsets = {channels: SubsetCount(*numbers) for channels, numbers in sums.items()}
    _channels_of(subsets)
    return subsets


def shapley_simple(
    subsets: Subsets, of: Literal["conversions", "revenue_cents"] = "conversions"
) -> dict[str, Fraction]:
    """Conversions (or revenue) of each set split evenly among its channels, exactly; per channel, sorted.

    The Shapley value where the worth of S is the number of conversions on paths within S: it never looks at paths that
    did not convert. Raises ValueError for an empty set.
    """
    by_size: dict[str, dict[int, int]] = {channel: defaultdict(int) for channel in _channels_of(subsets)}
    for members, count in subsets.items():
        for channel in members:
            by_size[channel][len(members)] += getattr(count, of)
    return {
        channel: sum((Fraction(number, size) for size, number in numbers.items()), Fraction(0))
        for channel, numbers in by_size.items()
    }


def fit_shapley(subsets: Subsets, rng: np.random.Generator | None = None) -> ShapleyFit:
    """Exact up to EXACT_CHANNELS channels, sampled with rng beyond: the fewer blocks, the more channels there are.

    Raises ValueError for an empty set, and for too many channels without an rng.
    """
    size = len(_channels_of(subsets))
    if size <= EXACT_CHANNELS:
        return exact_shapley(subsets)
    if rng is None:
        raise ValueError(f"more than {EXACT_CHANNELS} channels are sampled: pass a random generator")
    return sampled_shapley(subsets, rng, blocks=max(LEAST_BLOCKS, BLOCKS * EXACT_CHANNELS // size))


def exact_shapley(subsets: Subsets) -> ShapleyFit:
    """Values from the worth of every set: time and memory grow as n 2^n and 2^n.

    Raises ValueError for an empty set, and for more than EXACT_CHANNELS channels.
    """
    channels = _channels_of(subsets)
    size = len(channels)
    if size > EXACT_CHANNELS:
        raise ValueError(f"{size} channels: exact values are for at most {EXACT_CHANNELS}")
    worth = _worth_of_all_sets(channels, subsets)
    # A set of s others is what a channel joins in s! (n - 1 - s)! of the n! orders.
    of_size = np.array([1 / (size * comb(size - 1, others)) for others in range(size)] + [0.0])
    weight = of_size[np.bitwise_count(np.arange(1 << size))]
    values = {}
    for bit, channel in enumerate(channels):
        halves, weights = (_by_bit(array, bit) for array in (worth, weight))
        values[channel] = float(np.sum((halves[:, 1] - halves[:, 0]) * weights[:, 0]))
    return ShapleyFit(values, dict.fromkeys(channels, 0.0), permutations=0)


def sampled_shapley(subsets: Subsets, rng: np.random.Generator, *, blocks: int = BLOCKS) -> ShapleyFit:
    """Values from sampled orders, unbiased, still adding up to the overall rate; any number of channels.

    A block is a random order, turned so that each channel joins first, second, ... once, and all of these reversed:
    the place of joining, which matters most, is sampled evenly. The blocks are independent, and the standard errors
    are those of their mean. The same rng state and counts give the same values. Time: blocks x channels x sets.
    Raises ValueError for an empty set and fewer than 2 blocks.
    """
    if blocks < 2:
        raise ValueError(f"{blocks} blocks: a standard error takes at least 2")
    channels = _channels_of(subsets)
    size = len(channels)
    if not size:
        return ShapleyFit({}, {}, permutations=0)
    sums = _PrefixWorth.of(channels, subsets)
    means = np.empty((blocks, size))
    for block in range(blocks):
        place = rng.permutation(size)
        added = np.zeros(size)
        for turn in range(size):
            turned = (place + turn) % size
            added += sums.added_at(turned)
            added += sums.added_at(size - 1 - turned)
        means[block] = added / (2 * size)
    errors = means.std(axis=0, ddof=1) / np.sqrt(blocks)
    return ShapleyFit(
        dict(zip(channels, means.mean(axis=0).tolist(), strict=True)),
        dict(zip(channels, errors.tolist(), strict=True)),
        permutations=2 * size * blocks,
    )


@dataclass(frozen=True)
class _PrefixWorth:
    """The sets met, laid end to end: worth of the first channels of any order in one pass over them.

    members: channel numbers of all sets; starts: where each set begins in it; paths, conversions: per set.
    """

    members: np.ndarray
    starts: np.ndarray
    paths: np.ndarray
    conversions: np.ndarray

    @classmethod
    def of(cls, channels: tuple[str, ...], subsets: Subsets) -> "_PrefixWorth":
        number = {channel: place for place, channel in enumerate(channels)}
        sizes = [len(members) for members in subsets]
        return cls(
            members=np.array([number[channel] for members in subsets for channel in members]),
            starts=np.concatenate([[0], np.cumsum(sizes)[:-1]]),
            paths=np.array([count.paths for count in subsets.values()]),
            conversions=np.array([count.conversions for count in subsets.values()]),
        )

    def added_at(self, place: np.ndarray) -> np.ndarray:
        """What each channel adds on joining; place: of each channel in the order, from 0."""
        # A set lies within the first channels as soon as the last of its own has joined.
        complete = np.maximum.reduceat(place[self.members], self.starts)
        paths, conversions = (
            np.cumsum(np.bincount(complete, weights=counts, minlength=place.size))
            for counts in (self.paths, self.conversions)
        )
        return np.diff(_rate(conversions, paths), prepend=0.0)[place]


def _worth_of_all_sets(channels: tuple[str, ...], subsets: Subsets) -> np.ndarray:
    """Worth by set, shape (2^n,): channel i is in the sets whose number has bit i."""
    bit = {channel: 1 << place for place, channel in enumerate(channels)}
    paths, conversions = (np.zeros(1 << len(channels), dtype=np.int64) for _ in range(2))
    for members, count in subsets.items():
        mask = sum(bit[channel] for channel in members)
        paths[mask] += count.paths
        conversions[mask] += count.conversions
    for counts in (paths, conversions):
        # Sums over all subsets of each set, one channel at a time.
        for place in range(len(channels)):
            halves = _by_bit(counts, place)
            halves[:, 1] += halves[:, 0]
    return _rate(conversions, paths)


def _by_bit(array: np.ndarray, bit: int) -> np.ndarray:
    """A view of shape (-1, 2, 2^bit): [:, 0] are the sets without that bit, [:, 1] the same sets with it."""
    return array.reshape(-1, 2, 1 << bit)


def _rate(conversions: np.ndarray, paths: np.ndarray) -> np.ndarray:
    return np.divide(conversions, paths, out=np.zeros(paths.shape), where=paths > 0)


def _channels_of(subsets: Subsets) -> tuple[str, ...]:
    if frozenset() in subsets:
        raise ValueError("paths without channels: nobody is there to be credited for them")
    return tuple(sorted(frozenset().union(*subsets)))
