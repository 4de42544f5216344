"""Paths of channels: those that converted and those that did not, and the steps that they took."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tests.oracles.attribution import Row
from tests.oracles.journeys import Touch
from tests.oracles.money import Conversion
from tests.oracles.policy import Policy, number, span
from tests.oracles.rounding import ratio

ARROW = " > "
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Path:
    """channels: as touched, filtered and transformed; revenue_cents: of its conversion, None when it has none."""

    person_id: str
    channels: tuple[str, ...]
    revenue_cents: int | None


def paths_of(
    journeys: Iterable[tuple[Conversion, Sequence[Touch]]],
    conversions: Iterable[Conversion],
    touches: Iterable[Touch],
    as_of: datetime,
    policy: Policy,
) -> list[Path]:
    """Of each conversion with a touch its journey; of each person the touches after the last conversion, held out ones
    included, within the lookback before the last such touch. Those that ended in the attribution_fit_days before as_of.
    """
    last_on = (as_of - timedelta(microseconds=1)).date()
    first_on = last_on - timedelta(days=int(number(policy, "attribution_fit_days")) - 1)
    found = [
        Path(conversion.person_id, told(journey, policy), conversion.revenue_cents)
        for conversion, journey in journeys
        if journey and conversion.occurred_at.date() >= first_on
    ]
    last_conversion: dict[str, datetime] = {}
    for conversion in conversions:
        last_conversion[conversion.person_id] = max(
            conversion.occurred_at, last_conversion.get(conversion.person_id, conversion.occurred_at)
        )
    after: dict[str, list[Touch]] = defaultdict(list)
    for touch in touches:
        if touch.person_id not in last_conversion or touch.touched_at > last_conversion[touch.person_id]:
            after[touch.person_id].append(touch)
    for person_id, own in after.items():
        end = max(touch.touched_at for touch in own)
        if end.date() >= first_on:
            kept = [touch for touch in own if touch.touched_at >= end - span(policy, "attribution_lookback_days")]
            found.append(Path(person_id, told(kept, policy), None))
    return found


def told(journey: Sequence[Touch], policy: Policy) -> tuple[str, ...]:
    """The channels of a journey after the policy's cut, filter and transform, in this order."""
    ordered = sorted(journey, key=lambda touch: (touch.touched_at, touch.touchpoint_id))
    channels = [touch.channel for touch in ordered]
    if steps := int(number(policy, "attribution_path_max_steps")):
        channels = channels[-steps:]
    direct = policy["attribution_direct_touches"]
    if any(channel != "direct" for channel in channels):
        if direct == "drop":
            channels = [channel for channel in channels if channel != "direct"]
        elif direct == "drop_last":
            while channels[-1] == "direct":
                channels.pop()
    transform = policy["attribution_path_transform"]
    if transform == "exposure":
        channels = channels[:1] + [here for before, here in pairwise(channels) if here != before]
    elif transform in ("first", "frequency"):
        times = Counter(channels)
        channels = list(times) if transform == "first" else [f"{channel}({many})" for channel, many in times.items()]
    return tuple(channels)


def path_summary(paths: Iterable[Path], policy: Policy) -> list[Row]:
    """One row per path."""
    rows: dict[str, Row] = {}
    for path in paths:
        name = ARROW.join(path.channels)
        row = rows.setdefault(
            name,
            {
                "path_sha256": hashlib.sha256(name.encode()).hexdigest(),
                "path": name,
                "path_transform": policy["attribution_path_transform"],
                "conversions": 0,
                "non_conversions": 0,
                "revenue_cents": 0,
            },
        )
        row["non_conversions" if path.revenue_cents is None else "conversions"] += 1
        row["revenue_cents"] += path.revenue_cents or 0
    return list(rows.values())


def channel_transitions(paths: Iterable[Path], policy: Policy) -> list[Row]:
    """One row per order of the chain, state and state after the next step."""
    paths = list(paths)
    rows = []
    for order in sorted({1, 2, int(number(policy, "attribution_markov_order"))}):
        counts: Counter[tuple[str, str]] = Counter()
        for path in paths:
            states = [path.channels[max(0, end - order) : end] for end in range(len(path.channels) + 1)]
            names = ["(start)", *(ARROW.join(state) for state in states[1:])]
            counts.update(pairwise([*names, "(null)" if path.revenue_cents is None else "(conversion)"]))
        leaving: Counter[str] = Counter()
        for (state, _), times in counts.items():
            leaving[state] += times
        rows += [
            {
                "markov_order": order,
                "from_state": state,
                "to_state": after,
                "transitions": times,
                "probability": ratio(times, leaving[state]),
            }
            for (state, after), times in counts.items()
        ]
    return rows
