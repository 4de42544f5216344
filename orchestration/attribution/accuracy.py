"""[pure] How near credit comes to known truth, what noise makes of that figure, and which of two models is nearer.

The plain figure, 1 - half the sum over channels of |share of credit - share of truth|, is too low: noise moves shares
apart, and never together. So there stand beside it what a model that is perfectly right would score, and an interval of
the figure that endless truth would give. In all of this a sum over conversions is taken for normal, by its covariance
over persons, whose conversions go together: the cost does not depend on how many there are.
No estimate of a distance is free of bias (Cai, Low 2011, Optimal estimation of a nonsmooth functional). This one's
bias is bounded whatever the gaps are, and the intervals allow for it (Armstrong, Kolesar 2018, Optimal inference in a
class of regression models): where the gaps lie, in two channels or in all, need not be known.
"""

from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal

import numpy as np
from scipy.special import chndtrix, ndtr, ndtri

DRAWS = 1000
RESAMPLES = 2000
LEVEL = 0.95
DRIFT_PERCENTILE = 1
DIGITS = 9
"""Decimals of a difference."""
PULL = 0.971
"""How much a small gap is pulled down, in its standard errors: makes the worst bias the same upwards and downwards."""
WORST_AT = 1.093
"""Gap, in standard errors, at which the estimate is the most too small; the most too large it is at 0."""
REACH = 2.5
"""Standard errors by which a gap may be smaller than it shows, where the bias that it may have is looked up."""
WIDEST_AT = 1.5
"""Gap, in standard errors, at which the estimate varies most."""

Status = Literal["ok", "drift", "no_data"]


@dataclass(frozen=True)
class Accuracy:
    """How right a model is, over conversions whose true channel is known.

    accuracy: the plain figure. corrected, low, high: without the bias of noise, estimate and 95 % interval (0 and 1
    where all conversions are of one person). ceiling: the mean of the plain figure over draws of the truth from the
    model's own credit; drift_line: the first percentile of these. hit_rate: mean credit of the true channel.
    All in [0, 1].
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
    """By how much the accuracy of a candidate differs from that of the present one on the same conversions.

    Without the bias of noise; that of two plain figures favours whoever errs in many channels over who errs in few.
    """

    difference: float
    low: float
    high: float


def measure(
    credits: np.ndarray, truth: np.ndarray, persons: np.ndarray, rng: np.random.Generator, *, draws: int = DRAWS
) -> Accuracy:
    """Accuracy of credits (conversions x channels, rows add up to 1) against truth, the code of each true channel.

    persons: code of each conversion's person. The order of conversions does not move a bit of the result.
    Raises ValueError without conversions.
    """
    credits, truth, persons = _in_order(credits, truth, persons)
    count = len(truth)
    apart = credits - np.eye(credits.shape[1])[truth]
    mean = apart.mean(axis=0)
    # Of truth drawn from the credit itself, the counts of channels spread as sums of one draw for each conversion.
    own = np.diag(credits.sum(axis=0)) - credits.T @ credits
    drawn = np.maximum(1 - np.abs(_normal(own / count**2, rng, draws)).sum(axis=1) / 2, 0.0)
    plain = max(float(1 - np.abs(mean).sum() / 2), 0.0)
    found, low, high = plain, 0.0, 1.0
    if len(np.unique(persons)) > 1:
        found, low, high = _interval(mean, _clustered(apart, persons), rng, draws)
    return Accuracy(
        conversions=count,
        accuracy=plain,
        corrected=found,
        low=low,
        high=high,
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
    """The difference of two accuracies on the same conversions, with its two-sided interval at this level.

    Both without the bias of noise; what may be left of it widens the interval, so that a promotion is not owed to it.
    Equal credits differ by exactly 0. Of one person alone nothing can be said: -1 to 1.
    Raises ValueError without conversions.
    """
    channels = candidate.shape[1]
    both, truth, persons = _in_order(np.hstack([candidate, present]), truth, persons)
    if (both[:, :channels] == both[:, channels:]).all():
        return Difference(0.0, 0.0, 0.0)
    apart = both - np.tile(np.eye(channels)[truth], 2)
    mean = apart.mean(axis=0)
    if len(np.unique(persons)) == 1:
        plain = np.abs(mean).reshape(2, channels).sum(axis=1) / 2
        return Difference(round(float(plain[1] - plain[0]), DIGITS), -1.0, 1.0)
    covariance = _clustered(apart, persons)
    errors = np.sqrt(np.diag(covariance))

    def better(rows: np.ndarray) -> np.ndarray:
        # The candidate's distance comes first.
        one, other = np.split(_pulled(rows, errors), 2, axis=-1)
        return (other - one).sum(axis=-1) / 2

    difference = float(better(mean))
    error = float(better(mean + _normal(covariance, rng, RESAMPLES)).std())
    # A bias that both share cancels: it changes no faster than the gap that it belongs to.
    one, other = np.split(_bias_bound(mean, errors), 2)
    gaps_apart, errors_apart = (np.abs(np.subtract(*np.split(values, 2))) for values in (mean, errors))
    bias = np.minimum(one + other, gaps_apart + bias_of(0.0) * errors_apart).sum() / 2
    half = _half_width(error, float(bias), level)
    # Of credits that are the same but for rounding, neither is better.
    return Difference(*(round(value, DIGITS) + 0.0 for value in (difference, difference - half, difference + half)))


def distance(gaps: np.ndarray, errors: np.ndarray) -> float:
    """Half the sum of |true gaps|, estimated from gaps with these standard errors; may be below 0.

    Of a channel with the gap g and error s: |g| - PULL s exp(-(g/s)^2). Its bias is at most bias_of(0) s either way.
    """
    return float(_pulled(gaps, errors).sum() / 2)


def bias_of(gap: float | np.ndarray) -> float | np.ndarray:
    """Bias of a channel's |gap| as distance estimates it; both in standard errors, gap at least 0.

    The mean of |normal| less the gap, less the mean of what is pulled off.
    """
    folded = sqrt(2 / pi) * np.exp(-(gap**2) / 2) - 2 * gap * ndtr(-gap)
    return folded - PULL / sqrt(3) * np.exp(-(gap**2) / 3)


def _pulled(gaps: np.ndarray, errors: np.ndarray) -> np.ndarray:
    sizes = np.abs(gaps)
    relative = np.divide(sizes, errors, out=np.full(sizes.shape, np.inf), where=errors > 0)
    return sizes - PULL * errors * np.exp(-(relative**2))


def _bias_bound(gaps: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The largest bias per channel, of all true gaps that are at most REACH errors smaller than what shows."""
    relative = np.divide(np.abs(gaps), errors, out=np.zeros(gaps.shape), where=errors > 0)
    # From there on it does but fall; before, it may be as large as anywhere.
    return np.abs(bias_of(np.maximum(relative - REACH, WORST_AT))) * errors


def _interval(
    mean: np.ndarray, covariance: np.ndarray, rng: np.random.Generator, draws: int
) -> tuple[float, float, float]:
    """Estimate, low and high of the accuracy, all in [0, 1]; both bias and spread taken where they are worst."""
    errors = np.sqrt(np.diag(covariance))
    found = distance(mean, errors)
    around = np.copysign(np.maximum(np.abs(mean), WIDEST_AT * errors), mean)
    error = (_pulled(around + _normal(covariance, rng, draws), errors).sum(axis=1) / 2).std()
    half = _half_width(float(error), float(_bias_bound(mean, errors).sum() / 2), LEVEL)
    corrected, low, high = np.clip(1 - np.array([found, found + half, found - half]), 0.0, 1.0).tolist()
    return corrected, low, high


def _half_width(error: float, bias: float, level: float) -> float:
    """Of the interval that holds its target at this level though the estimate may be off by this bias."""
    if bias >= 10 * error:
        # The other tail is empty.
        return bias + error * float(ndtri(level))
    return error * sqrt(float(chndtrix(level, 1, (bias / error) ** 2)))


def _in_order(credits: np.ndarray, truth: np.ndarray, persons: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Conversions sorted by person, truth and credit: sums of doubles then do not depend on how they came.

    Credits by a hash of their bits: to sort by each column takes longer than all the rest.
    """
    if not len(truth):
        raise ValueError("no conversions whose channel is known")
    bits = np.ascontiguousarray(credits, dtype=np.float64).view(np.uint64)
    factors = np.cumprod(np.full(bits.shape[1], 0x9E3779B97F4A7C15, dtype=np.uint64))
    order = np.lexsort(((bits * factors).sum(axis=1), truth, persons))
    return credits[order], truth[order], persons[order]


def _clustered(rows: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """Covariance of the mean of the rows, those of a person taken together; rows of a person stand together."""
    starts = np.flatnonzero(np.diff(persons, prepend=persons[0] - 1))
    sums = np.add.reduceat(rows - rows.mean(axis=0), starts, axis=0)
    return sums.T @ sums / len(rows) ** 2 * (len(starts) / (len(starts) - 1))


def _normal(covariance: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Draws of this covariance around 0, shape (draws, channels). Rows that add up to 0 leave it singular."""
    values, vectors = np.linalg.eigh(covariance)
    return rng.standard_normal((draws, len(values))) @ (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
