"""[pure] How near credit comes to known truth, what noise makes of that figure, and which of two models is nearer.

The plain figure, 1 - half the sum over channels of |share of credit - share of truth|, is too low: noise moves shares
apart, and never together. So there stand beside it what a model that is perfectly right would score, and an interval of
the figure that endless truth would give. In all of this a sum over conversions is taken for normal, by its covariance
over persons, whose conversions go together: the cost does not depend on how many there are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

DRAWS = 1000
RESAMPLES = 4000
LEVEL = 0.95
DRIFT_PERCENTILE = 1
DIGITS = 9
"""Decimals of a difference."""
STEPS = 40
"""Halvings by which an end of an interval is found."""

Status = Literal["ok", "drift", "no_data"]


@dataclass(frozen=True)
class Accuracy:
    """How right a model is, over conversions whose true channel is known.

    accuracy: the plain figure. corrected, low, high: without the bias of noise, median and 95 % interval. ceiling: the
    mean of the plain figure over draws of the truth from the model's own credit; drift_line: the first percentile of
    these. hit_rate: mean credit of the true channel. All in [0, 1].
    """

    conversions: int
    accuracy: float
    corrected: float
    low: float
    high: float
    ceiling: float
    drift_line: float
    hit_rate: float


@dataclass(frozen=True)
class Difference:
    """By how much the accuracy of a candidate differs from that of the present one on the same conversions."""

    difference: float
    low: float
    high: float


def measure(
    credits: np.ndarray, truth: np.ndarray, persons: np.ndarray, rng: np.random.Generator, *, draws: int = DRAWS
) -> Accuracy:
    """Accuracy of credits (conversions x channels, rows add up to 1) against truth, the code of each true channel.

    persons: code of each conversion's person. Raises ValueError without conversions.
    """
    count = len(truth)
    if not count:
        raise ValueError("no conversions whose channel is known")
    apart = credits - np.eye(credits.shape[1])[truth]
    mean = apart.mean(axis=0)
    noise = _normal(_clustered(apart, persons), rng, draws)
    found, low, high = (1 - norm / 2 for norm in _norms(mean, noise))
    # Of truth drawn from the credit itself, the counts of channels spread as sums of one draw for each conversion.
    own = np.diag(credits.sum(axis=0)) - credits.T @ credits
    drawn = 1 - np.abs(_normal(own / count**2, rng, draws)).sum(axis=1) / 2
    return Accuracy(
        conversions=count,
        accuracy=float(1 - np.abs(mean).sum() / 2),
        corrected=found,
        low=max(high, 0.0),
        high=min(low, 1.0),
        ceiling=float(drawn.mean()),
        drift_line=float(np.percentile(drawn, DRIFT_PERCENTILE)),
        hit_rate=float(credits[np.arange(count), truth].mean()),
    )


def status(accuracy: Accuracy | None, *, min_conversions: int, drift_below: float) -> Status:
    """no_data below so many conversions; drift where accuracy is below drift_below and below what chance allows."""
    if accuracy is None or accuracy.conversions < min_conversions:
        return "no_data"
    return "drift" if accuracy.accuracy < min(drift_below, accuracy.drift_line) else "ok"


def compare(
    candidate: np.ndarray,
    present: np.ndarray,
    truth: np.ndarray,
    persons: np.ndarray,
    rng: np.random.Generator,
    *,
    level: float = 0.99,
) -> Difference:
    """The difference of two plain accuracies on the same conversions, with its two-sided interval at this level.

    Where resampling adds noise of its own to both, the wider of the two usual intervals (percentile and basic) is
    taken: a promotion must not be owed to it. Raises ValueError without conversions.
    """
    if not len(truth):
        raise ValueError("no conversions whose channel is known")
    channels = candidate.shape[1]
    labels = np.eye(channels)[truth]
    apart = np.hstack([candidate - labels, present - labels])
    mean = apart.mean(axis=0)
    noise = _normal(_clustered(apart, persons), rng, RESAMPLES)

    def better(rows: np.ndarray) -> np.ndarray:
        norms = np.abs(rows)
        return (norms[..., channels:].sum(axis=-1) - norms[..., :channels].sum(axis=-1)) / 2

    difference = float(better(mean))
    tail = (1 - level) / 2 * 100
    lower, upper = np.percentile(better(mean + noise), [tail, 100 - tail])
    ends = min(lower, 2 * difference - upper), max(upper, 2 * difference - lower)
    # Equal credits must not differ by what rounding leaves.
    return Difference(*(round(float(value), DIGITS) + 0.0 for value in (difference, *ends)))


def _norms(mean: np.ndarray, noise: np.ndarray) -> tuple[float, float, float]:
    """The sum of |true mean| that would let noise make what is seen: median, least and greatest.

    Along a ray of true means: of one so many times as long, how often would the sum that is seen fall below it? Where
    that is a half lies the median; where it is next to never or next to always, the ends. How much of the sum is noise
    depends on where the ray points, which is not known: in few channels, and noise stands out in all others; in all a
    little, and it is lost in them. The least comes from a ray of the first kind, the greatest from one of the second,
    the median from between their medians.
    """
    seen = np.abs(mean).sum()
    variance = noise.var(axis=0)
    if not variance.any():
        return seen, seen, seen
    # As James and Stein (1961) shrink, channel by channel: what is mostly noise points nowhere.
    kept = np.divide(variance, mean**2, out=np.ones_like(mean), where=mean**2 > variance)
    few = mean * (1 - kept)
    # What shows beyond noise as it shows, the rest as wide as its noise.
    many = np.where(np.abs(mean) > 2 * np.sqrt(variance), mean, np.where(mean < 0, -1, 1) * np.sqrt(variance))
    tail = (1 - LEVEL) / 2
    concentrated, spread = (_along(ray, noise, seen) for ray in (few if few.any() else many, many))
    median = (concentrated(0.5) + spread(0.5)) / 2
    return median, min(concentrated(1 - tail), median), max(spread(tail), median)


def _along(ray: np.ndarray, noise: np.ndarray, seen: float) -> Callable[[float], float]:
    """Of a level: the length along the ray at which the sum that is seen, or less, has this chance."""
    length = np.abs(ray).sum()
    most = (seen + 4 * np.abs(noise).sum(axis=1).mean()) / length

    def share_below(times: float) -> float:
        return float((np.abs(times * ray + noise).sum(axis=1) <= seen).mean())

    return lambda level: float(length * _where(share_below, level, most))


def _where(falling: Callable[[float], float], level: float, most: float) -> float:
    """Where a function that falls from 0 to most crosses a level; 0 when it begins below."""
    low, high = 0.0, most
    if falling(low) <= level:
        return low
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return high


def _clustered(rows: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """Covariance of the mean of the rows, those of a person taken together."""
    codes, member = np.unique(persons, return_inverse=True)
    sums = np.zeros((len(codes), rows.shape[1]))
    np.add.at(sums, member, rows - rows.mean(axis=0))
    return sums.T @ sums / len(rows) ** 2


def _normal(covariance: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Draws of this covariance around 0, shape (draws, channels). Rows that add up to 0 leave it singular."""
    values, vectors = np.linalg.eigh(covariance)
    return rng.standard_normal((draws, len(values))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
