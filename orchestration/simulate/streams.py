"""Named random streams: one per concern, so that switching one thing off keeps every other draw."""

import zlib

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence


class Streams:
    """Independent generators derived from one seed and a name each.

    A name always gives the same stream of draws, whichever others were asked for before it.
    """

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"seed: found {seed}, expected an integer of at least 0")
        self.seed = seed

    def __call__(self, name: str) -> Generator:
        return Generator(PCG64(SeedSequence(self.seed, spawn_key=(zlib.crc32(name.encode()),))))


def pick(rng: Generator, weights: np.ndarray, size: int) -> np.ndarray:
    """Draw size indices of weights (non-negative, any sum above 0), one uniform number each."""
    return choose(weights, rng.random(size))


def choose(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Turn uniform numbers in [0, 1) into indices of weights, in proportion to them."""
    bounds = np.cumsum(weights, dtype=float)
    return np.searchsorted(bounds[:-1], uniforms * bounds[-1], side="right")
