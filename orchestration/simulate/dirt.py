"""What happens to records on their way: late, repeated, sent again, contradicted, broken, wrongly stamped."""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.columns import NEVER, Times
from orchestration.simulate.feeds import Feed
from orchestration.simulate.journeys import HOUR, days
from orchestration.simulate.world import DAY, Dirt

WHOLE, BROKEN, MISSING, WRONG_TYPE, BAD_WORD = range(5)
DAMAGES = ("whole", "broken", "missing_field", "wrong_type", "bad_word")
# Feeds whose clocks may be wrong: nothing that the truth of a world rests on.
SKEWED_FEEDS = ("touchpoints", "campaign_events", "integration_events")


@dataclass(frozen=True)
class Lines:
    """The lines that a feed's files will hold, in order of arrival: the record behind each line, when it
    arrives, and its damage. counts: records and each kind of dirt, by name."""

    feed: Feed
    record: np.ndarray
    arrives: np.ndarray
    damage: np.ndarray
    counts: dict[str, int]


def spoil(feed: Feed, dirt: Dirt, rng: np.random.Generator, span: Span, file_days: int) -> Lines:
    """Spoil a feed by its shares of dirt; every good record arrives whole at least once, by the end."""
    good = len(feed)
    feed, skewed, ahead = _skew(feed, dirt, rng, span)
    arrives = feed.arrives + rng.exponential(60_000, good).astype(np.int64)
    late = rng.random(good) < dirt.late
    arrives = np.where(late, arrives + (rng.exponential(dirt.late_days, good) * DAY).astype(np.int64), arrives)
    arrives = np.minimum(arrives, span.until)

    repeated = np.flatnonzero(rng.random(good) < dirt.repeated)
    resent = np.flatnonzero(rng.random(good) < dirt.resent)
    feed, contradicted, original = _contradict(feed, dirt, rng)
    malformed = np.flatnonzero(rng.random(good) < dirt.malformed)
    damage = rng.integers(BROKEN, BAD_WORD + 1, len(malformed))
    copies = (
        (np.arange(good), arrives, WHOLE),
        (repeated, arrives[repeated] + 1, WHOLE),
        (resent, arrives[resent] + days(1) + (rng.random(len(resent)) * days(file_days)).astype(np.int64), WHOLE),
        (contradicted, arrives[original] + days(1), WHOLE),
        (malformed, arrives[malformed], damage),
    )
    record = np.concatenate([which for which, _, _ in copies])
    arrives = np.minimum(np.concatenate([when for _, when, _ in copies]), span.until)
    damage = np.concatenate([np.broadcast_to(kind, len(which)) for which, _, kind in copies])
    order = np.argsort(arrives, kind="stable")
    counts = {
        "records": good,
        "lines": len(record),
        "repeated": len(repeated),
        "resent": len(resent),
        "conflicting": len(contradicted),
        "malformed": len(malformed),
        "late": int(late.sum()),
        "skewed": skewed,
        "ahead_of_until": ahead,
    }
    return Lines(feed, record[order], arrives[order], damage[order], counts)


def _skew(feed: Feed, dirt: Dirt, rng: np.random.Generator, span: Span) -> tuple[Feed, int, int]:
    """Stamp some records by a clock that runs ahead."""
    if feed.name not in SKEWED_FEEDS or feed.clock is None:
        return feed, 0, 0
    times = feed.columns[feed.clock].numbers
    wrong = rng.random(len(times)) < dirt.skewed
    ahead = (rng.random(len(times)) * dirt.skew_hours * HOUR).astype(np.int64)
    stamped = np.where(wrong, times + ahead, times)
    feed = replace(feed, columns={**feed.columns, feed.clock: Times(stamped)})
    return feed, int(wrong.sum()), int((stamped > span.until).sum())


def _contradict(feed: Feed, dirt: Dirt, rng: np.random.Generator) -> tuple[Feed, np.ndarray, np.ndarray]:
    """Append copies of some events whose time differs; returns their places and those of the originals."""
    original = np.flatnonzero(rng.random(len(feed)) < dirt.conflicting)
    if feed.clock is None or not len(original):
        return feed, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    good = len(feed)
    longer = feed.take(np.concatenate([np.arange(good), original]))
    times = longer.columns[feed.clock].numbers.copy()
    times[good:] = np.where(times[good:] == NEVER, NEVER, times[good:] - rng.integers(60_000, HOUR, len(original)))
    longer = replace(longer, columns={**longer.columns, feed.clock: Times(times)})
    return longer, good + np.arange(len(original)), original
