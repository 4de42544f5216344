"""People whom marketing finds: anonymous journeys, some of which end in a sign-up (the seeds of all growth)."""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.columns import NEVER
from orchestration.simulate.journeys import (
    NOBODY,
    Outcome,
    Touches,
    ambient_touches,
    days,
    own_accord,
    resolve,
    returning_visits,
    seen,
    with_persuasion,
)
from orchestration.simulate.streams import Streams, pick
from orchestration.simulate.world import EMAIL, World

COLUMNS = ("start", "user_type", "intent", "lead_send", "lead_click")


@dataclass(frozen=True)
class Prospects:
    """Parallel arrays, one entry per prospect, in the order in which they were drawn.

    outcome.time: sign-up, NEVER for those who never do (or not by the end). lead_send: time of the
    lead campaign's mail, NEVER without address; lead_click: of the click on it, NEVER without.
    """

    start: np.ndarray
    user_type: np.ndarray
    intent: np.ndarray
    lead_send: np.ndarray
    lead_click: np.ndarray
    outcome: Outcome
    touches: Touches

    def __len__(self) -> int:
        return len(self.start)


def draw_prospects(world: World, streams: Streams, span: Span, people: int) -> Prospects:
    """Draw prospects until `people` of them have signed up by the end of the span."""
    chunks: list[Prospects] = []
    found = 0
    while found < people:
        size = max(500, min(250_000, 4 * (people - found)))
        chunk = _draw_chunk(world, streams(f"prospects/{len(chunks)}"), span, size)
        chunks.append(chunk)
        found += int((chunk.outcome.time != NEVER).sum())
    return _first_with(_join(chunks), people)


def _draw_chunk(world: World, rng: np.random.Generator, span: Span, size: int) -> Prospects:
    start = span.arrivals(rng, size, growth=world.seed_growth, weekdays=world.weekdays)
    user_type = (rng.random(size) >= world.supplier_share).astype(np.int8)
    intent = pick(rng, np.array(world.intent), size).astype(np.int8)
    window = days(world.prospect_window_days)

    # One touch begins every journey; the rest are a negative binomial: most have few, some have many.
    more = rng.negative_binomial(1.5, 1.5 / (1.5 + world.prospect_touches - 1), size)
    begins = ambient_touches(world, rng, np.ones(size, dtype=np.int64), start, 1, intent, after_signup=False)
    follows = ambient_touches(world, rng, more, start, window, intent, after_signup=False)

    leads = rng.random(size) < world.lead_share
    lead_send = np.where(leads, start + days(1) + (rng.random(size) * days(2)).astype(np.int64), NEVER)
    clicks = rng.random(size) < world.delivered * world.opened * world.clicked
    lead_click = np.where(
        leads & clicks, lead_send + (rng.exponential(days(0.4), size)).astype(np.int64) + 60_000, NEVER
    )
    lead_click = np.where(lead_click < start + window, lead_click, NEVER)
    clicked = np.flatnonzero(lead_click <= span.until)
    email = np.full(len(clicked), world.code(EMAIL))
    mails = with_persuasion(world, rng, clicked, lead_click[clicked], email, np.full(len(clicked), NOBODY))

    touches = Touches.join([begins, follows, mails])
    own_time = own_accord(rng, np.array(world.signup_own_accord)[intent], start, window)
    outcome = resolve(world, touches, own_time, span.until)
    joined = outcome.time <= span.until
    outcome = Outcome(np.where(joined, outcome.time, NEVER), outcome.trigger, np.where(joined, outcome.sole, NOBODY))
    # Mails to those who signed up first are never sent: the lead list is checked against the users.
    lead_send = np.where(lead_send >= outcome.time, NEVER, lead_send)
    lead_click = np.where(lead_click > outcome.time, NEVER, lead_click)
    shown = seen(touches, outcome.time, span.until)
    shown = Touches.join([shown, returning_visits(world, rng, outcome.time, start)])
    return Prospects(start, user_type, intent, lead_send, lead_click, outcome, shown)


def _join(chunks: list[Prospects]) -> Prospects:
    shift = np.cumsum([0] + [len(chunk) for chunk in chunks])[:-1].tolist()
    touches = [
        replace(chunk.touches, owner=chunk.touches.owner + offset) for chunk, offset in zip(chunks, shift, strict=True)
    ]
    columns = {name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in COLUMNS}
    outcome = Outcome.join([chunk.outcome for chunk in chunks])
    return Prospects(**columns, outcome=outcome, touches=Touches.join(touches))


def _first_with(prospects: Prospects, people: int) -> Prospects:
    """Cut after the prospect who is the last of the seeds asked for."""
    end = int(np.flatnonzero(prospects.outcome.time != NEVER)[people - 1]) + 1
    columns = {name: getattr(prospects, name)[:end] for name in COLUMNS}
    touches = prospects.touches.take(prospects.touches.owner < end)
    return Prospects(**columns, outcome=prospects.outcome.take(slice(end)), touches=touches)
