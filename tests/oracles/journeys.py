"""Who a touch belongs to, and which touches led to which conversion."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.oracles.feeds import Feeds, field, instant, visible_events
from tests.oracles.money import Conversion
from tests.oracles.policy import Policy, span

NO_CAMPAIGN = "(none)"


@dataclass(frozen=True)
class Touch:
    """One touchpoint of one person; campaign_id is `(none)` where it names none."""

    touchpoint_id: str
    person_id: str
    touched_at: datetime
    channel: str
    campaign_id: str


def owner_at(claims: Iterable[tuple[datetime, str, str]], moment: datetime) -> str:
    """The user_id that holds an anonymous_id at a moment; claims: (occurred_at, event_id, user_id), at least one.

    The latest claim not after the moment; before any claim, the first instant's. Of several claims at one
    instant only the greatest event_id counts, the first instant's included.
    """
    claims = list(claims)
    made = [claim for claim in claims if claim[0] <= moment]
    if made:
        return max(made)[2]
    first = min(claim[0] for claim in claims)
    return max(claim for claim in claims if claim[0] == first)[2]


def touches_of(feeds: Feeds, as_of: datetime) -> list[Touch]:
    """Every touchpoint up to as_of with its person, in order of (touched_at, event_id).

    A user_id on the touch wins and makes no link. Otherwise the identities up to as_of say whose the
    anonymous_id was at that moment; while none does, the person is `anon:<anonymous_id>`.
    """
    claims: dict[str, list[tuple[datetime, str, str]]] = defaultdict(list)
    for record in visible_events(feeds, "identities", as_of):
        claim = (instant(record["occurred_at"]), record["event_id"], record["user_id"])
        claims[record["anonymous_id"]].append(claim)

    def person(record: Mapping, touched_at: datetime) -> str:
        user_id, anonymous_id = field(record, "user_id"), field(record, "anonymous_id")
        if user_id is not None:
            return user_id
        if anonymous_id in claims:
            return owner_at(claims[anonymous_id], touched_at)
        return f"anon:{anonymous_id}"

    touches = []
    for record in visible_events(feeds, "touchpoints", as_of):
        touched_at = instant(record["occurred_at"])
        touches.append(
            Touch(
                touchpoint_id=record["event_id"],
                person_id=person(record, touched_at),
                touched_at=touched_at,
                channel=field(record, "channel") or "unknown",
                campaign_id=field(record, "campaign_id") or NO_CAMPAIGN,
            )
        )
    return sorted(touches, key=lambda touch: (touch.touched_at, touch.touchpoint_id))


def journeys_of(
    conversions: Sequence[Conversion], touches: Sequence[Touch], policy: Policy
) -> list[tuple[Conversion, list[Touch]]]:
    """Each conversion that has a revenue, with its journey in order of (touched_at, event_id).

    The journey is every touch of the person from t - attribution_lookback_days to t, both ends in. Under
    since_previous_conversion it begins strictly after the person's previous conversion, in order of
    (occurred_at, conversion_id): the second of two at one instant has none. A conversion that is held out
    for want of a rate still cuts, so that a late rate changes only its own conversion.
    """
    scope = policy["attribution_journey_scope"]
    if scope not in ("lookback", "since_previous_conversion"):
        raise ValueError(f"attribution_journey_scope {scope!r}: expected lookback or since_previous_conversion")
    lookback = span(policy, "attribution_lookback_days")
    touches_by_person: dict[str, list[Touch]] = defaultdict(list)
    for touch in touches:
        touches_by_person[touch.person_id].append(touch)

    journeys = []
    previous_at: dict[str, datetime] = {}
    for conversion in sorted(conversions, key=lambda each: (each.occurred_at, each.conversion_id)):
        journey = [
            touch
            for touch in touches_by_person[conversion.person_id]
            if conversion.occurred_at - lookback <= touch.touched_at <= conversion.occurred_at
        ]
        if scope == "since_previous_conversion" and conversion.person_id in previous_at:
            journey = [touch for touch in journey if touch.touched_at > previous_at[conversion.person_id]]
        previous_at[conversion.person_id] = conversion.occurred_at
        if conversion.revenue_cents is not None:
            journeys.append((conversion, journey))
    return journeys
