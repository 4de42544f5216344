"""[pure] Intervals of the credit of channels, by resampling persons, from sums over groups of them.

Persons are dealt into groups for good; a sum over all is a sum over groups that do not depend on each other. To draw
groups again with replacement is then to draw persons, at a cost that no history changes. Persons means all who were
met, converted or not: how many convert is left to chance too.
Source: the random-groups method, Wolter (2007), Introduction to variance estimation, chapter 2; percentiles widened to
quantiles of t: Hesterberg (2015), What teachers should know about the bootstrap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

RESAMPLES = 1000
LEVEL = 0.95
DIGITS = 9
"""Credits that agree to so many decimals are tied: two sums of the same doubles need not agree to the last."""


@dataclass(frozen=True)
class ChannelInterval:
    """Credited conversions of a channel. low, high: low at least 0. rank: 1 is the most, ties by name;
    rank_stability: share of the resamples in which it has the same rank.

    A channel without any credit has nothing to be resampled from: 0 to 0.
    """

    channel: str
    conversions: float
    low: float
    high: float
    rank: int
    rank_stability: float


def bootstrap(
    channels: Sequence[str],
    sums: np.ndarray,
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[ChannelInterval]:
    """Intervals in order of rank. sums: credited conversions by group of persons and channel, shape (groups, channels).

    The bounds are free of resampling noise: the spread of a sum over groups drawn again is known without drawing.
    Raises ValueError for fewer than 2 groups, and for sums that are negative or of another shape.
    """
    _check_groups(len(sums))
    names, place = _by_name(channels)
    sums = _checked(sums, (len(sums), len(names)))[:, place]
    drawn = times_drawn(len(sums), resamples, rng) @ sums
    credited, error = sums.sum(axis=0), np.sqrt(len(sums) * sums.var(axis=0, ddof=1))
    return _ranked(names, credited, drawn, *_even_in_proportion(credited, error, len(sums), level))


def bootstrap_weighted(
    channels: Sequence[str],
    sets: np.ndarray,
    conversions: np.ndarray,
    replicate_weights: np.ndarray,
    weights: np.ndarray,
    rng: np.random.Generator,
    *,
    draws: np.ndarray | None = None,
    level: float = LEVEL,
) -> list[ChannelInterval]:
    """Intervals of credit that is shared by fitted weights, with the noise of the weights in it.

    sets: which channels are in each set, bool, shape (sets, channels). conversions: of journeys with just these
    channels, by group of persons, shape (groups, sets). weights: by channel; replicate_weights: fitted again to
    resampled persons, shape (replicates, channels): each goes with a resample of the groups.
    draws: how often each group was drawn for each replicate, shape (replicates, groups), as of times_drawn; without it
    groups are drawn anew with rng, and intervals are too narrow: who converts by a channel also speaks for its weight.
    Raises ValueError for fewer than 2 groups or replicates, for anything negative or of another shape, and for
    conversions of a set without channels.
    """
    names, place = _by_name(channels)
    groups, replicates, size = len(conversions), len(replicate_weights), len(names)
    _check_groups(groups)
    if replicates < 2:
        raise ValueError(f"{replicates} replicates of the weights: what varies between them takes at least 2")
    members = _checked(sets, (len(sets), size))[:, place]
    conversions = _checked(conversions, (groups, len(members)))
    if conversions[:, ~members.any(axis=1)].any():
        raise ValueError("conversions of a set without channels: nobody is there to be credited for them")
    # Sorted: sums of doubles then do not depend on the order in which the sets came.
    order = np.lexsort(members.T) if size else np.arange(len(members))
    members, conversions = members[order], conversions[:, order]
    times = times_drawn(groups, replicates, rng) if draws is None else _checked(draws, (replicates, groups))
    fitted = _checked(replicate_weights, (replicates, size))[:, place]
    drawn = _credited(members, times @ conversions, fitted)
    credited = _credited(members, conversions.sum(axis=0)[None], _checked(weights[None], (1, size))[:, place])[0]
    error = drawn.std(axis=0, ddof=1) * np.sqrt(groups / (groups - 1))
    # The wider of both: either falls short for some channels.
    low, high = _even_in_proportion(credited, error, groups, level)
    least, most = _percentiles(drawn, groups, level)
    low, high = np.minimum(low, least), np.maximum(high, most)
    # A total that its own error swamps, as of a weight that is 0 in half of the fits, is even in no proportion.
    low, high = np.where(error > credited, [np.zeros_like(low), np.maximum(most, credited)], [low, high])
    return _ranked(names, credited, drawn, low, high)


def times_drawn(groups: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each group is drawn in each resample, shape (resamples, groups). Raises ValueError below 2 groups."""
    _check_groups(groups)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)


def _credited(members: np.ndarray, conversions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Credit by replicate and channel; conversions: by replicate and set; weights: by replicate and channel."""
    members = members.astype(float)
    weight = weights @ members.T
    weighed = weight > 0
    share = np.divide(conversions, weight, out=np.zeros_like(weight), where=weighed)
    evenly = np.where(weighed, 0.0, conversions) / np.maximum(members.sum(axis=1), 1.0)
    return weights * (share @ members) + evenly @ members


def _even_in_proportion(
    credited: np.ndarray, error: np.ndarray, groups: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    # Sums that few people make up lean to the right: their intervals are even in proportion, not in number. Between
    # so few groups a variance is known to groups - 1 degrees of freedom.
    part = np.divide(error, credited, out=np.zeros_like(error), where=credited > 0).clip(max=1.0)
    spread = student.ppf((1 + level) / 2, groups - 1) * part
    return credited * np.exp(-spread), credited * np.exp(spread)


def _percentiles(drawn: np.ndarray, groups: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles further out: resampled sums vary too little, by one group and by a normal law in place of t."""
    beyond = norm.cdf(-np.sqrt(groups / (groups - 1)) * student.ppf((1 + level) / 2, groups - 1))
    low, high = np.quantile(drawn, [beyond, 1 - beyond], axis=0)
    return low, high


def _ranked(
    names: Sequence[str], credited: np.ndarray, drawn: np.ndarray, low: np.ndarray, high: np.ndarray
) -> list[ChannelInterval]:
    own = _ranks(credited[None])[0]
    stable = (_ranks(drawn) == own).mean(axis=0)
    columns = (credited, low, high, own + 1, stable)
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return sorted((ChannelInterval(*row) for row in rows), key=lambda row: row.rank)


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Rank of each channel in each row, from 0; channels are in order of their names, so ties are too."""
    order = np.argsort(-rows.round(DIGITS), axis=1, kind="stable")
    return np.argsort(order, axis=1)


def _by_name(channels: Sequence[str]) -> tuple[list[str], list[int]]:
    place = sorted(range(len(channels)), key=lambda number: channels[number])
    return [channels[number] for number in place], place


def _check_groups(groups: int) -> None:
    if groups < 2:
        raise ValueError(f"{groups} groups of persons: what varies between them takes at least 2")


def _checked(table: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if table.shape != shape or not np.isfinite(table).all() or (table < 0).any():
        raise ValueError(f"expected numbers of at least 0, shape {shape}, not {table.shape}")
    return table
