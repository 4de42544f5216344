"""[pure] Does a fitted chain foretell which journeys convert? Asked of journeys that it was not fitted to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from orchestration.attribution.markov import End, State, Transitions
from orchestration.attribution.paths import PathCount

LEVEL = 0.95
LEAST_ENDINGS = 20
"""Journeys that must have ended in a state before its own rate is believed; below, the state forgets its oldest."""


@dataclass(frozen=True)
class Prediction:
    """How well scores tell journeys that convert from those that do not.

    auc: chance that one that converts has the higher score, ties half; 0.5 is what the base rate scores. None where
    one of the two kinds is missing. low, high: at LEVEL, after DeLong, DeLong, Clarke-Pearson (1988), even in log-odds;
    None where the journeys cannot say: fewer than 2 of a kind, or not one pair (or every pair) in the wrong order. As
    if no two journeys were of one person. log_loss: mean, in nats, of the scores as chances; base_log_loss: of the
    share that converts, given to all.
    """

    journeys: int
    conversions: int
    auc: float | None
    low: float | None
    high: float | None
    log_loss: float
    base_log_loss: float


def predicted(transitions: Transitions, order: int, paths: Iterable[PathCount]) -> list[float]:
    """Chance of each path to end in conversion: the share that did of those that ended after the same last channels.

    As many as `order`; fewer, in the end none, where fewer than LEAST_ENDINGS ended there. One conversion in two is
    added to each share, so that nothing is foretold for certain.
    """
    endings = {length: _endings(transitions, length) for length in range(order + 1)}
    scores = []
    for path in paths:
        for length in range(order, -1, -1):
            state = path.channels[len(path.channels) - length :] if length <= len(path.channels) else path.channels
            converted, ended = endings[length].get(state, (0, 0))
            if ended >= LEAST_ENDINGS or length == 0:
                scores.append((converted + 1) / (ended + 2))
                break
    return scores


def _endings(transitions: Transitions, length: int) -> dict[State, tuple[int, int]]:
    """Of each state of the last so many channels: journeys that converted from it, and all that ended in it."""
    converted: Counter[State] = Counter()
    ended: Counter[State] = Counter()
    for (state, step), count in transitions.items():
        if isinstance(step, End):
            last = state[len(state) - length :] if length <= len(state) else state
            ended[last] += count
            if step is End.CONVERSION:
                converted[last] += count
    return {state: (converted[state], count) for state, count in ended.items()}


def judge(scores: np.ndarray, conversions: np.ndarray, nulls: np.ndarray) -> Prediction:
    """Judge scores by how many journeys of each converted, and how many did not; arrays of one shape.

    Raises ValueError without journeys.
    """
    yes, no = float(conversions.sum()), float(nulls.sum())
    if not yes + no:
        raise ValueError("no journeys to judge by")
    base = np.full(len(scores), yes / (yes + no))
    auc, low, high = _area(scores, conversions, nulls) if yes and no else (None, None, None)
    losses = (_log_loss(chances, conversions, nulls) for chances in (scores, base))
    return Prediction(int(yes + no), int(yes), auc, low, high, *losses)


def _area(scores: np.ndarray, conversions: np.ndarray, nulls: np.ndarray) -> tuple[float, float | None, float | None]:
    values, place = np.unique(scores, return_inverse=True)
    yes, no = (np.bincount(place, weights=counts, minlength=len(values)) for counts in (conversions, nulls))
    # Per score: the share of the other kind that it is on the right side of.
    above, below = (np.cumsum(no) - no / 2) / no.sum(), 1 - (np.cumsum(yes) - yes / 2) / yes.sum()
    area = float(yes @ above / yes.sum())
    if min(yes.sum(), no.sum()) < 2 or not 0 < area < 1:
        return area, None, None
    variance = sum(
        kind @ (right - area) ** 2 / (kind.sum() - 1) / kind.sum() for kind, right in ((yes, above), (no, below))
    )
    half = norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance) / (area * (1 - area))
    return area, float(expit(logit(area) - half)), float(expit(logit(area) + half))


def _log_loss(chances: np.ndarray, conversions: np.ndarray, nulls: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        logs = np.log(chances), np.log1p(-chances)
    lost = -sum(
        float((counts[counts > 0] * log[counts > 0]).sum())
        for counts, log in zip((conversions, nulls), logs, strict=True)
    )
    return lost / float(conversions.sum() + nulls.sum())
