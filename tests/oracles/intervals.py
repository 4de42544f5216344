"""Intervals the long way: persons are drawn again one by one."""

from collections.abc import Callable

import numpy as np


def by_persons(
    credits: np.ndarray, persons: np.ndarray, rng: np.random.Generator, resamples: int, total: Callable = np.sum
) -> np.ndarray:
    """Standard deviation of each channel's sum over resampled persons; credits: by conversion and channel."""
    names = np.unique(persons)
    own = np.array([total(credits[persons == name], axis=0) for name in names])
    drawn = [own[rng.integers(len(names), size=len(names))].sum(axis=0) for _ in range(resamples)]
    return np.std(drawn, axis=0, ddof=1)
