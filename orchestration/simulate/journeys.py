"""Touches and decisions: who was touched when by what, and what made them convert.

A decision is one chance to convert. Each touch in it may persuade, by its channel's effect and its own
draw; the person may also decide of their own accord. The first cause to take effect sets the time. A
conversion is *lost without channel c* when every cause of it, those that would have come later included,
is a touch of c: all draws stay the same, only c is switched off.
"""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.columns import NEVER
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import choose
from orchestration.simulate.world import BRANDED, DAY, DIRECT, World

OWN_ACCORD, NO_CONVERSION = -1, -2
HOUR = 3_600_000
NOBODY = -1


@dataclass(frozen=True)
class Touches(Rows):
    """Parallel arrays, one entry per touch.

    owner: index of the person in the caller's terms; channel: code; campaign: number or NOBODY;
    persuades: uniform draw, compared with the channel's effect; delay: milliseconds to its effect.
    """

    owner: np.ndarray
    time: np.ndarray
    channel: np.ndarray
    campaign: np.ndarray
    persuades: np.ndarray
    delay: np.ndarray

    @classmethod
    def inert(cls, owner: np.ndarray, time: np.ndarray, channel: np.ndarray) -> "Touches":
        """Touches that persuade nobody: consequences of a decision, or visits outside of one."""
        count = len(owner)
        return cls(owner, time, channel, np.full(count, NOBODY), np.ones(count), np.zeros(count, dtype=np.int64))


@dataclass(frozen=True)
class Outcome(Rows):
    """Of each decision: time (NEVER: no conversion), trigger (channel, OWN_ACCORD or NO_CONVERSION) and sole:
    the channel without which it would be lost, or NOBODY."""

    time: np.ndarray
    trigger: np.ndarray
    sole: np.ndarray


def ambient_touches(
    world: World,
    rng: np.random.Generator,
    counts: np.ndarray,
    start: np.ndarray,
    span: np.ndarray | int,
    intent: np.ndarray,
    *,
    after_signup: bool,
) -> Touches:
    """Draw counts[i] touches for owner i, at even odds within [start, start + span) (milliseconds)."""
    owner = np.repeat(np.arange(len(counts)), counts)
    spans = np.broadcast_to(np.asarray(span), counts.shape)[owner]
    time = start[owner] + (rng.random(len(owner)) * spans).astype(np.int64)
    channel = channels_for(world, rng.random(len(owner)), intent[owner], after_signup=after_signup)
    return with_persuasion(world, rng, owner, time, channel, np.full(len(owner), NOBODY))


def channels_for(world: World, uniforms: np.ndarray, intent: np.ndarray, *, after_signup: bool) -> np.ndarray:
    """A channel code for each uniform number, by the mix of its class of intent."""
    channel = np.empty(len(uniforms), dtype=np.int64)
    for level, weights in enumerate(world.mix(after_signup=after_signup)):
        reached = intent == level
        channel[reached] = choose(weights, uniforms[reached])
    return channel


def with_persuasion(
    world: World,
    rng: np.random.Generator,
    owner: np.ndarray,
    time: np.ndarray,
    channel: np.ndarray,
    campaign: np.ndarray,
) -> Touches:
    """Touches with their own draws of whether and how fast they persuade."""
    count = len(owner)
    delay = (rng.exponential(world.persuasion_hours * HOUR, count) + 60_000).astype(np.int64)
    delay[rng.random(count) < world.persuasion_at_once] = 0
    return Touches(owner, time, channel, campaign, rng.random(count), delay)


def resolve(
    world: World,
    touches: Touches,
    own_time: np.ndarray,
    until: int,
    *,
    off: int | None = None,
    at: np.ndarray | None = None,
) -> Outcome:
    """Let the causes of each decision compete; own_time: when the person would by own accord, else NEVER.

    off: a channel code whose touches are taken away, all other draws unchanged. at: conversions
    happen at these times whatever persuaded (renewals); else when the first cause takes effect.
    """
    count = len(own_time)
    fired = touches.persuades < world.effects(touches.channel, touches.time, until)
    if off is not None:
        fired &= touches.channel != off
    owner, channel = touches.owner[fired], touches.channel[fired]
    effective = touches.time[fired] + touches.delay[fired]

    first = np.lexsort((channel, effective, owner))
    owner, channel, effective = owner[first], channel[first], effective[first]
    leads = np.ones(len(owner), dtype=bool)
    leads[1:] = owner[1:] != owner[:-1]
    time, trigger = (own_time.copy(), np.where(own_time == NEVER, NO_CONVERSION, OWN_ACCORD))
    sooner = leads & (effective <= own_time[owner])
    time[owner[sooner]], trigger[owner[sooner]] = effective[sooner], channel[sooner]
    if at is not None:
        time = np.where(time == NEVER, NEVER, at)

    least, most = np.full(count, NEVER), np.full(count, -1)
    np.minimum.at(least, owner, channel)
    np.maximum.at(most, owner, channel)
    sole = np.where((least == most) & (own_time == NEVER), least, NOBODY)
    return Outcome(time, trigger, sole)


def own_accord(rng: np.random.Generator, chance: np.ndarray, start: np.ndarray, span: np.ndarray | int) -> np.ndarray:
    """When each person converts by own accord (within span of start), NEVER for most."""
    decides, when = rng.random(len(chance)) < chance, rng.random(len(chance))
    return np.where(decides, start + (when * np.asarray(span)).astype(np.int64), NEVER)


def returning_visits(world: World, rng: np.random.Generator, time: np.ndarray, not_before: np.ndarray) -> Touches:
    """Visits by name shortly before conversions: caused by the decision, so credit to them is false credit."""
    returns = rng.random(len(time)) < world.returning_visit * world.selection_bias
    by_search = rng.random(len(time)) < world.returning_by_search
    before = (rng.random(len(time)) * HOUR / 2).astype(np.int64) + 1_000
    owner = np.flatnonzero(returns & (time != NEVER))
    visit = np.maximum(time[owner] - before[owner], not_before[owner])
    channel = np.where(by_search[owner], world.code(BRANDED), world.code(DIRECT))
    return Touches.inert(owner, visit, channel)


def seen(touches: Touches, converted_at: np.ndarray, until: int) -> Touches:
    """The touches that happen at all: up to the conversion (what follows belongs to the next decision)."""
    return touches.take((touches.time <= converted_at[touches.owner]) & (touches.time <= until))


def days(count: float) -> int:
    """Whole milliseconds of so many days."""
    return round(count * DAY)
