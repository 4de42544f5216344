"""[pure] Intervals of the credit of channels, by resampling persons, from sums over groups of them.

Persons are dealt into groups for good; a sum over all is a sum over groups that do not depend on each other. To draw
groups again with replacement is then to draw persons, at a cost that no history changes.
Source: the random-groups method, Wolter (2007), Introduction to variance estimation, chapter 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class ChannelInterval:
    """Credited conversions of a channel. low, high: at LEVEL, low at least 0. rank: 1 is the most, ties by name;
    rank_stability: share of the resamples in which it has the same rank."""

    channel: str
    conversions: float
    low: float
    high: float
    rank: int
    rank_stability: float


def bootstrap(
    channels: Sequence[str], sums: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> list[ChannelInterval]:
    """Intervals in order of rank. sums: credited conversions by group of persons and channel, shape (groups, channels).

    Raises ValueError for fewer than 2 groups.
    """
    return _intervals(channels, sums.sum(axis=0), _times_drawn(len(sums), resamples, rng) @ sums, len(sums))


def bootstrap_weighted(
    channels: Sequence[str],
    sets: np.ndarray,
    conversions: np.ndarray,
    replicate_weights: np.ndarray,
    weights: np.ndarray,
    rng: np.random.Generator,
) -> list[ChannelInterval]:
    """Intervals of credit that is shared by fitted weights, with the noise of the weights in it.

    sets: which channels are in each set, bool, shape (sets, channels). conversions: of journeys with just these
    channels, by group of persons, shape (groups, sets). weights: by channel; replicate_weights: fitted again to
    resampled persons, shape (replicates, channels): each goes with a resample of the groups.
    """
    times = _times_drawn(len(conversions), len(replicate_weights), rng)
    drawn = np.array(
        [(one @ conversions) @ _shares(sets, row) for one, row in zip(times, replicate_weights, strict=True)]
    )
    credited = conversions.sum(axis=0) @ _shares(sets, weights)
    return _intervals(channels, credited, drawn, len(conversions))


def _shares(sets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of each channel in each set, shape (sets, channels); evenly where all weights of a set are 0."""
    parts = np.where(sets, weights, 0.0)
    parts = np.where(parts.sum(axis=1, keepdims=True) > 0, parts, sets)
    return parts / parts.sum(axis=1, keepdims=True)


def _times_drawn(groups: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each group is drawn in each resample, shape (resamples, groups)."""
    if groups < 2:
        raise ValueError(f"{groups} groups of persons: what varies between them takes at least 2")
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples)


def _intervals(channels: Sequence[str], credited: np.ndarray, drawn: np.ndarray, groups: int) -> list[ChannelInterval]:
    # Between so few groups a variance is known to groups - 1 degrees of freedom, and resampling sees it too small by
    # one of them: by quantiles of t, corrected, coverage is right, where percentiles fall short.
    wide = student.ppf((1 + LEVEL) / 2, groups - 1) * np.sqrt(groups / (groups - 1))
    spread = drawn.std(axis=0, ddof=1) * wide
    low, high = _ends(credited, spread)
    own, resampled = _ranks(channels, credited[None])[0], _ranks(channels, drawn)
    stable = (resampled == own).mean(axis=0)
    rows = [
        ChannelInterval(
            channel,
            float(credited[place]),
            float(low[place]),
            float(high[place]),
            int(own[place]) + 1,
            float(stable[place]),
        )
        for place, channel in enumerate(channels)
    ]
    return sorted(rows, key=lambda row: row.rank)


def _ends(credited: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums that few people make up lean to the right: their intervals are even in proportion, not in number.

    Only while the spread is below the sum; from there on straight: a proportion of next to nothing says nothing.
    """
    ratio = np.divide(spread, credited, out=np.full_like(spread, np.inf), where=credited > 0)
    curved = np.exp(np.minimum(ratio, 1.0))
    low = np.where(ratio <= 1, credited / curved, credited - spread * (1 - np.exp(-1.0)))
    high = np.where(ratio <= 1, credited * curved, credited + spread * (np.e - 1))
    return np.maximum(low, 0.0), high


def _ranks(channels: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Rank of each channel in each row, from 0; ties by name."""
    names = np.argsort(np.argsort(np.array(channels)))
    order = np.lexsort((np.broadcast_to(names, rows.shape), -rows), axis=-1)
    return np.argsort(order, axis=-1)
