"""Journeys of a simulated world, drawn without files, and what each rule or fit credits on them.

They follow the definitions of the engine (paths, credits within a journey) on what a tracker would have recorded: a
touch belongs to its user when logged in, else to whoever holds the device by the claims known then. Dirt is left out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from orchestration.attribution.paths import PathCount
from orchestration.simulate.draw import Draw
from orchestration.simulate.journeys import NOBODY, days
from orchestration.simulate.survey import SURVEY
from orchestration.simulate.truth import causal_truth
from orchestration.simulate.visits import Visits
from orchestration.simulate.world import DAY, DIRECT

RULES = ("first_touch", "last_touch", "last_non_direct", "linear", "time_decay", "position_based")
Shares = dict[str, float]
"""Per channel; they add up to 1."""
_TIMES = 1 << 42
"""More than any time in milliseconds: person x _TIMES + time sorts by both."""


@dataclass(frozen=True)
class Journeys:
    """Paths with at least one touch; those of path p are the touches starts[p] to starts[p + 1].

    names: channels by code. channel, time: per touch, first to last. starts: shape (paths + 1,). Per path, person: a
    user number, or beyond all users a device that nobody has claimed; ended: the time of its conversion or last touch;
    conversion: the row of the draw's conversions, NOBODY without.
    """

    names: list[str]
    channel: np.ndarray
    time: np.ndarray
    starts: np.ndarray
    person: np.ndarray
    ended: np.ndarray
    conversion: np.ndarray

    def __len__(self) -> int:
        return len(self.ended)

    @property
    def sizes(self) -> np.ndarray:
        """Touches per path."""
        return np.diff(self.starts)

    @property
    def path(self) -> np.ndarray:
        """The path of each touch."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @property
    def converting(self) -> "Journeys":
        """Those that ended in a conversion: what there is to credit."""
        return self.take(self.conversion != NOBODY)

    def take(self, kept: np.ndarray) -> "Journeys":
        """The paths marked in kept, in their order."""
        touches = kept[self.path]
        return replace(
            self,
            channel=self.channel[touches],
            time=self.time[touches],
            starts=np.concatenate([[0], np.cumsum(self.sizes[kept])]),
            person=self.person[kept],
            ended=self.ended[kept],
            conversion=self.conversion[kept],
        )

    def between(self, since: int, until: int) -> "Journeys":
        """Those that ended from since on and before until (milliseconds)."""
        return self.take((self.ended >= since) & (self.ended < until))

    def counts(self) -> list[PathCount]:
        """The same as the fits read them."""
        found: dict[tuple[int, ...], list[int]] = {}
        channel, bounds = self.channel.tolist(), self.starts.tolist()
        for number, converted in enumerate((self.conversion != NOBODY).tolist()):
            path = tuple(channel[bounds[number] : bounds[number + 1]])
            found.setdefault(path, [0, 0])[0 if converted else 1] += 1
        return [PathCount(tuple(self.names[code] for code in path), *ends) for path, ends in found.items()]

    def shares(self, credits_: np.ndarray) -> Shares:
        """Credit of touches, shape (touches,), summed by channel and brought to 1."""
        sums = np.bincount(self.channel, credits_, len(self.names))
        return dict(zip(self.names, (sums / sums.sum()).tolist(), strict=True))


def journeys_of(
    draw: Draw, *, as_of: int | None = None, since: int | None = None, lookback_days: int = 30, cut: bool = False
) -> Journeys:
    """The paths that ended from since on (all without one), as they were known at as_of (the end of the world).

    One for each conversion with a touch; and one for each person's touches after the last conversion, as far back as
    the lookback before the last of them. cut: a conversion's path begins after the person's previous conversion.
    """
    as_of = draw.span.until if as_of is None else as_of
    visits = draw.visits.take(draw.visits.time <= as_of)
    person = _persons(draw, as_of, visits)
    order = np.lexsort((np.arange(len(visits)), visits.time, person))
    touch_at = person[order] * _TIMES + visits.time[order]
    lookback = days(lookback_days)

    made = np.flatnonzero(draw.conversions.time <= as_of)
    conversions = draw.conversions.take(made)
    converted_at = conversions.user * _TIMES + conversions.time
    first = np.searchsorted(touch_at, converted_at - lookback, side="left")
    end = np.searchsorted(touch_at, converted_at, side="right")
    if cut:
        in_order = np.argsort(converted_at, kind="stable")
        again = np.flatnonzero(np.diff(conversions.user[in_order]) == 0) + 1
        previous_end = end[in_order[again - 1]]
        first[in_order[again]] = np.maximum(first[in_order[again]], previous_end)

    last = np.flatnonzero(np.diff(person[order], append=-1))
    who, last_touched = touch_at[last] // _TIMES, touch_at[last] % _TIMES
    latest = np.full(int(max(who.max(initial=0), conversions.user.max(initial=0))) + 1, -1)
    np.maximum.at(latest, conversions.user, conversions.time)
    # Empty, and so left out, where the last touch is not after the last conversion.
    open_first = np.maximum(
        np.searchsorted(touch_at, touch_at[last] - lookback, side="left"),
        np.searchsorted(touch_at, who * _TIMES + latest[who], side="right"),
    )
    found = _gathered(
        draw.world.channel_names,
        visits.channel[order],
        visits.time[order],
        np.concatenate([first, open_first]),
        np.concatenate([end, last + 1]),
        np.concatenate([conversions.user, who]),
        np.concatenate([conversions.time, last_touched]),
        np.concatenate([made, np.full(len(last), NOBODY)]),
    )
    return found.take(found.ended >= since) if since is not None else found


def rule_credits(
    journeys: Journeys, rule: str, *, half_life_days: float = 7.0, first: float = 0.4, last: float = 0.4
) -> np.ndarray:
    """Credit of each touch by one of RULES, shape (touches,); those of a path add up to 1."""
    path, sizes, starts = journeys.path, journeys.sizes, journeys.starts[:-1]
    place = np.arange(len(path)) - starts[path]
    if rule == "linear":
        return 1 / sizes[path]
    if rule == "first_touch":
        return (place == 0).astype(float)
    if rule == "last_touch":
        return (place == sizes[path] - 1).astype(float)
    if rule == "last_non_direct":
        named = np.where(journeys.channel != journeys.names.index(DIRECT), place, -1)
        chosen = np.maximum.reduceat(named, starts)
        chosen = np.where(chosen < 0, sizes - 1, chosen)
        return (place == chosen[path]).astype(float)
    if rule == "time_decay":
        return _shared(path, 2.0 ** ((journeys.time - journeys.ended[path]) / DAY / half_life_days))
    if rule == "position_based":
        length = sizes[path]
        weights = (1 - first - last) / np.maximum(length - 2, 1)
        weights = np.where(place == 0, first, np.where(place == length - 1, last, weights))
        even = (length == 1) | ((length == 2) & (first + last == 0))
        return _shared(path, np.where(even, 1.0, weights))
    raise ValueError(f"rule {rule!r}: expected one of {RULES}")


def weighted_credits(journeys: Journeys, weights: Mapping[str, float]) -> np.ndarray:
    """Credit of each touch, shape (touches,): within each journey in proportion to the weights of its channels.

    A channel's share is split evenly over its touches there; one without a weight has the smallest; all 0: linear.
    """
    path = journeys.path
    least = min(weights.values())
    by_code = np.array([weights.get(name, least) for name in journeys.names])
    pair = path * len(journeys.names) + journeys.channel
    repeats = np.bincount(pair, minlength=1)[pair]
    credit = by_code[journeys.channel] / repeats
    nothing = np.bincount(path, credit, len(journeys)) <= 0
    return _shared(path, np.where(nothing[path], 1.0, credit))


def causal_shares(draw: Draw, journeys: Journeys, figure: str = "share") -> Shares:
    """The truth of exactly these conversions; figure: of `truth.causal_truth` (share, trigger_share)."""
    among = np.zeros(len(draw.conversions), dtype=bool)
    among[journeys.conversion[journeys.conversion != NOBODY]] = True
    return causal_truth(draw, among)[figure]


def answered(draw: Draw, journeys: Journeys, method: int = SURVEY) -> tuple[Journeys, Shares]:
    """The journeys whose conversion has a truth other than none, known by this method, and the shares of truth."""
    answers = draw.answers.take((draw.answers.method == method) & (draw.answers.channel != NOBODY))
    told = np.full(len(draw.conversions), NOBODY)
    told[answers.conversion] = answers.channel
    converting = journeys.converting
    asked = converting.take(told[converting.conversion] != NOBODY)
    counted = Counter(told[asked.conversion].tolist())
    return asked, {name: counted[code] / max(len(asked), 1) for code, name in enumerate(journeys.names)}


def accuracy(credited: Mapping[str, float], truth: Mapping[str, float]) -> float:
    """1 less half the sum of absolute differences of the shares, in [0, 1]."""
    channels = credited.keys() | truth.keys()
    return 1 - sum(abs(credited.get(one, 0.0) - truth.get(one, 0.0)) for one in sorted(channels)) / 2


def _persons(draw: Draw, as_of: int, visits: Visits) -> np.ndarray:
    """The person of each visit: a user number, or beyond all users a device that nobody has claimed."""
    users = len(draw.users)
    claims = draw.claims.take(draw.claims.time <= as_of)
    order = np.lexsort((claims.time, claims.device))
    device, owner = claims.device[order], claims.user[order]
    claimed_at, touched_at = device * _TIMES + claims.time[order], visits.device * _TIMES + visits.time
    place = np.searchsorted(claimed_at, touched_at, side="right") - 1
    first = np.searchsorted(device, visits.device, side="left")
    # Before any claim, the first one counts.
    held = np.maximum(place, first)
    claimed = (held < len(device)) & (device[np.minimum(held, len(device) - 1)] == visits.device)
    by_device = np.where(claimed, owner[np.minimum(held, len(device) - 1)], users + visits.device)
    return np.where(visits.named, visits.user, by_device)


def _gathered(
    names: list[str],
    channel: np.ndarray,
    time: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    person: np.ndarray,
    ended: np.ndarray,
    conversion: np.ndarray,
) -> Journeys:
    """Journeys of touches first to end (without it) each, those without a touch left out."""
    some = end > first
    first, sizes = first[some], (end - first)[some]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    touch = np.arange(starts[-1]) + np.repeat(first - starts[:-1], sizes)
    return Journeys(names, channel[touch], time[touch], starts, person[some], ended[some], conversion[some])


def _shared(path: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights / np.bincount(path, weights)[path]
