"""[pure] Credit of a calibration by channel, in doubles, for many conversions at once: to be judged, not to be paid.

What people are paid by is fct_attribution, exact to the cent; the oracle holds both to one definition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Method = Literal["policy", "markov", "shapley", "time_decay", "position_based"]
WEIGHTED: tuple[Method, ...] = ("markov", "shapley")
MILLION = 1_000_000


@dataclass(frozen=True)
class Parameters:
    """What data-driven credit is given by.

    markov, shapley: weights of channels in whole millionths (so that they add up to a million), and the order of the
    chain. time_decay: half_life_days. position_based, and policy, which is the policy's own: first and last weight.
    """

    method: Method
    weights: Mapping[str, int] = field(default_factory=dict)
    markov_order: int | None = None
    half_life_days: float | None = None
    first_weight: float | None = None
    last_weight: float | None = None

    @property
    def name(self) -> str:
        """For example `markov, order 2` or `time_decay, half-life 3 days`."""
        if self.method == "markov":
            return f"markov, order {self.markov_order}"
        if self.method == "time_decay":
            return f"time_decay, half-life {self.half_life_days:g} days"
        if self.method in ("position_based", "policy"):
            return f"{self.method}, {self.first_weight:g} first, {self.last_weight:g} last"
        return self.method


@dataclass(frozen=True)
class Journeys:
    """Touches of conversions, laid end to end, each conversion's in their order; none of them empty.

    channels: names by code. starts: where each conversion begins, shape (conversions,); channel: code, and
    days_before: days before the conversion's last touch, of each touch, shape (touches,).
    """

    channels: tuple[str, ...]
    starts: np.ndarray
    channel: np.ndarray
    days_before: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Touches of each conversion."""
        return np.diff(np.append(self.starts, len(self.channel)))

    @property
    def conversion(self) -> np.ndarray:
        """Of each touch, the number of its conversion."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)


def credited(parameters: Parameters, journeys: Journeys) -> np.ndarray:
    """Share of credit by conversion and channel, shape (conversions, channels); rows add up to 1."""
    if not len(journeys.starts):
        return np.zeros((0, len(journeys.channels)))
    if parameters.method in WEIGHTED:
        return _by_weights(parameters.weights, journeys)
    if parameters.method == "time_decay":
        shares = np.exp2(-journeys.days_before / parameters.half_life_days)
    else:
        shares = _by_position(parameters.first_weight, parameters.last_weight, journeys)
    return _by_channel(shares, journeys)


def channel_shares(weights: Mapping[str, int], channels: Sequence[str], present: np.ndarray) -> np.ndarray:
    """Share of each channel in sets of channels; present: bool, shape (sets, channels). Rows add up to 1.

    A channel without a weight takes the smallest one; a set whose weights are all 0 is shared evenly.
    """
    smallest = min(weights.values(), default=0)
    row = np.array([weights.get(channel, smallest) for channel in channels], dtype=float)
    parts = present * row
    totals = parts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, parts, present) / np.where(totals > 0, totals, present.sum(axis=1, keepdims=True))


def _by_weights(weights: Mapping[str, int], journeys: Journeys) -> np.ndarray:
    touches = _by_channel(np.ones(len(journeys.channel)), journeys)
    shares = channel_shares(weights, journeys.channels, touches > 0)
    # All weights 0: evenly over the touches, not over the channels.
    smallest = min(weights.values(), default=0)
    row = np.array([weights.get(channel, smallest) for channel in journeys.channels])
    weightless = ~((touches > 0) & (row > 0)).any(axis=1)
    shares[weightless] = touches[weightless]
    return shares


def _by_position(first: float, last: float, journeys: Journeys) -> np.ndarray:
    lengths = journeys.lengths
    count = np.repeat(lengths, lengths)
    shares = np.maximum(1 - first - last, 0) / np.maximum(count - 2, 1)
    starts, ends = journeys.starts, journeys.starts + lengths - 1
    shares[starts], shares[ends] = first, last
    pairs = lengths == 2
    if first + last == 0:
        shares[starts[pairs]] = shares[ends[pairs]] = 0.5
    shares[starts[lengths == 1]] = 1.0
    return shares


def _by_channel(shares: np.ndarray, journeys: Journeys) -> np.ndarray:
    """Shares of touches summed by channel and brought to 1 in each conversion."""
    found = np.zeros((len(journeys.starts), len(journeys.channels)))
    np.add.at(found, (journeys.conversion, journeys.channel), shares)
    totals = found.sum(axis=1, keepdims=True)
    return found / totals
