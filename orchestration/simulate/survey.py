"""What is known of the truth: answers of surveyed people, and labels of a randomised experiment."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.journeys import NOBODY, days
from orchestration.simulate.lifecycle import Conversions
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import Streams
from orchestration.simulate.visits import Visits
from orchestration.simulate.world import World

SURVEY, EXPERIMENT = 0, 1
METHODS = ("survey", "experiment")


@dataclass(frozen=True)
class Answers(Rows):
    """Parallel arrays: conversion, channel (code; NOBODY: none), method, when."""

    conversion: np.ndarray
    channel: np.ndarray
    method: np.ndarray
    time: np.ndarray


def draw_answers(world: World, streams: Streams, span: Span, conversions: Conversions, visits: Visits) -> Answers:
    """Survey: what triggered the conversion, or by a slip of memory the last touch. Experiment: the channel
    without which it would have been lost. Own accord, or no single channel: none."""
    rng = streams("survey")
    asked = np.flatnonzero(rng.random(len(conversions)) < world.surveyed)
    trigger = np.maximum(conversions.trigger[asked], NOBODY)
    slips = rng.random(len(asked)) < world.survey_recall_error
    last = _last_channel(conversions.user[asked], conversions.time[asked], visits)
    answer = np.where(slips & (last != NOBODY), last, trigger)
    asked_at = conversions.time[asked] + 60_000 + rng.exponential(days(1), len(asked)).astype(np.int64)

    rng = streams("experiment")
    tested = np.flatnonzero(rng.random(len(conversions)) < world.experimented)
    known_at = conversions.time[tested] + days(14)
    answers = Answers(
        np.concatenate([asked, tested]),
        np.concatenate([answer, conversions.sole[tested]]),
        np.concatenate([np.full(len(asked), SURVEY), np.full(len(tested), EXPERIMENT)]),
        np.concatenate([asked_at, known_at]),
    )
    return answers.take(answers.time <= span.until)


def _last_channel(user: np.ndarray, time: np.ndarray, visits: Visits) -> np.ndarray:
    """The channel of each user's last touch not after a time; NOBODY without one."""
    known = np.flatnonzero(visits.user != NOBODY)
    queries = len(user)
    who = np.concatenate([visits.user[known], user])
    when = np.concatenate([visits.time[known], time])
    asks = np.concatenate([np.zeros(len(known), dtype=bool), np.ones(queries, dtype=bool)])
    order = np.lexsort((asks, when, who))
    place = np.where(asks[order], -1, np.arange(len(order)))
    latest = np.maximum.accumulate(place)
    found = np.full(queries, NOBODY)
    at = np.flatnonzero(asks[order])
    source = latest[at]
    same = (source >= 0) & (who[order][np.maximum(source, 0)] == who[order][at])
    touch = order[np.maximum(source, 0)]
    query = order[at] - len(known)
    found[query[same]] = visits.channel[known][touch[same]]
    return found
