"""Accuracy the long way: truth drawn conversion by conversion, persons resampled one by one."""

from collections.abc import Sequence

import numpy as np


def plain(credits: np.ndarray, truth: np.ndarray) -> float:
    """1 - half the sum over channels of |share of credit - share of truth|, by its definition."""
    count, channels = credits.shape
    apart = 0.0
    for channel in range(channels):
        given = sum(float(row[channel]) for row in credits) / count
        known = sum(int(true == channel) for true in truth) / count
        apart += abs(given - known)
    return 1 - apart / 2


def drawn_from_itself(credits: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Plain accuracies against truth that is drawn for each conversion from its own credit."""
    upto = credits.cumsum(axis=1)
    found = np.empty(draws)
    for draw in range(draws):
        truth = (rng.random(len(credits))[:, None] > upto[:, :-1]).sum(axis=1)
        shares = np.bincount(truth, minlength=credits.shape[1]) / len(credits)
        found[draw] = 1 - np.abs(credits.mean(axis=0) - shares).sum() / 2
    return found


def percentile_bootstrap(
    credits: np.ndarray, truth: np.ndarray, persons: np.ndarray, rng: np.random.Generator, resamples: int
) -> tuple[float, float]:
    """What most would take for a 95 % interval: percentiles of the plain figure over resampled persons."""
    of_person: dict[int, Sequence[int]] = {
        person: np.flatnonzero(persons == person).tolist() for person in np.unique(persons).tolist()
    }
    names = list(of_person)
    found = []
    for _ in range(resamples):
        rows = [row for place in rng.integers(len(names), size=len(names)) for row in of_person[names[place]]]
        shares = np.bincount(truth[rows], minlength=credits.shape[1]) / len(rows)
        found.append(1 - np.abs(credits[rows].mean(axis=0) - shares).sum() / 2)
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
