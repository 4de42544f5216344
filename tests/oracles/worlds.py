"""Small worlds full of trouble, to hold the warehouse against the oracle.

Everything happens at a few instants that lie exactly a window apart, to a few people that share devices,
addresses and ids: so ties, borders and clashes are the rule. Each record is drawn by itself from the
seed, its feed and its number: with smaller counts the remaining records stay as they were.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.oracles.feeds import EVENT_KEYS, Feeds, Record

COUNTS: dict[str, int] = {
    "touchpoints": 40,
    "identities": 8,
    "users": 12,
    "conversions": 14,
    "refunds": 6,
    "ad_spend": 14,
    "exchange_rates": 8,
    "campaigns": 6,
    "campaign_events": 40,
    "viral_actions": 30,
    "integration_events": 12,
    "attribution_truth": 3,
}
"""Records of each feed in a world of the usual size, 5 people."""
REFERRAL_COUNTS: dict[str, int] = {"users": 24, "viral_actions": 48, "conversions": 8}
"""The same of a world of referrals, 8 people."""

DAYS_BEFORE = (-1, 0, 1, 5, 6, 7, 8, 29, 30, 31, 35, 36, 37, 60, 61, 65, 66, 119, 120, 121)
"""Days between an instant and as_of: many pairs lie 1, 7, 30 or 60 days apart, some after as_of."""
SETTLED_AFTER = timedelta(days=2)
"""Days after which nothing of a world lies in the future any more."""
EARLY_DAYS, LATE_DAYS = (30, 31, 35, 36, 60, 61, 65), (0, 1, 5, 6, 7, 29, 30, 31)
"""Most users with an even number join early and invite; those with an odd one join late, invited."""
JOIN_DAYS, SEND_DAYS = (1, 2, 5, 29, 30, 31, 35, 40, 59, 60), (61, 62, 65, 70)
"""In a world of referrals the invites that users name were sent before anybody joined, and people join in any order."""
RATE_DAYS = (8, 37, 66, 120)
"""Days with an exchange rate: far enough apart for conversions at its greatest age and just beyond."""
HOURS = (timedelta(hours=12), timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999))
CHANNELS = ("direct", "direct", "email", "paid_search", "social", "référence", "")
CAMPAIGNS = ("c1", "c2", "C2", "c3", "never described")
VARIANTS = (None, None, "v1", "v1", "V1", "vé", "control", "", 7, True)
"""What events say of the variant of their content; text is not asked for, and 'control' means something."""
CENTS = (0, 1, 3, 99, 100, 1_001, 1_000_001, 9_000_000, 9_000_001, 99_999_999)
CURRENCIES = ("USD", "USD", "EUR", "GBP", "CHF", None)
"""EUR has rates, GBP an old one at most, CHF never one."""
RATES = (1, 0.5, 1.0853, 0.0066666, 12.5)

FEW: dict[str, Any] = {
    "viral_min_users": 1,
    "super_connector_threshold": 2,
    "campaign_interval_min_campaigns": 2,
    "campaign_recent_min_recipients": 1,
    "content_min_recipients": 1,
    "content_min_people": 1,
}
"""Least numbers that so small a world has."""
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"viral_burst_joins": 1, "viral_burst_hours": 720, "super_connector_threshold": 1, "viral_min_maturity": 0.01},
    {"attribution_journey_scope": "since_previous_conversion"},
    {
        "attribution_first_weight": 0,
        "attribution_last_weight": 0,
        "attribution_model": "linear",
        "attribution_accuracy_min_conversions": 1,
    },
    {"attribution_first_weight": 0.3, "attribution_last_weight": 0, "attribution_half_life_days": 0.5},
    {"attribution_first_weight": 0, "attribution_last_weight": 1, "attribution_lookback_days": 7},
    {"attribution_first_weight": 0.7, "attribution_last_weight": 0.3, "invite_credit": "first"},
    {"reporting_currency": "EUR", "fx_max_age_days": 1, "invite_window_days": 7},
    {"attribution_path_transform": "exposure", "attribution_direct_touches": "drop_last", "attribution_fit_days": 60},
    {"attribution_path_transform": "frequency", "attribution_direct_touches": "drop", "attribution_markov_order": 4},
    {"attribution_path_transform": "first", "attribution_path_max_steps": 2, "attribution_markov_order": 1},
    {"attribution_model": "time_decay", "campaign_conversion_window_days": 7, "viral_horizon_days": 7},
)
"""Overrides of dbt's vars worth meeting; all of them also lower the least number of users of the headline K."""

REFERRAL_POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"viral_burst_joins": 1, "viral_burst_hours": 720},
    {"viral_burst_joins": 1, "viral_burst_hours": 48, "invite_credit": "first"},
    {"invite_window_days": 7, "viral_horizon_days": 7},
)
"""The same of a world of referrals: in half of them two joins of one inviter are soon a burst."""

CONTENT_POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"content_min_recipients": 12, "content_min_shortfall": 0, "content_typical_lift": 0.3},
    {"content_min_recipients": 8, "content_min_shortfall": 0.15, "campaign_conversion_window_days": 7},
)
"""The same of a world of content."""


@dataclass(frozen=True)
class World:
    """feeds: in order of arrival; overrides: vars that differ from dbt_project.yml; as_of: UTC."""

    feeds: dict[str, list[dict[str, Any]]]
    as_of: datetime
    overrides: dict[str, Any]


def world(
    seed: int,
    *,
    counts: Mapping[str, int] = COUNTS,
    people: int = 5,
    clashes: bool = True,
    policies: bool = True,
    settled: bool = False,
) -> World:
    """The world of a seed, the same on every machine.

    clashes: some events come again under their key with other content (then arrival order decides, and
    batches in another order are another world). policies: draw overrides too. settled: as_of lies after every
    record, so that builds at it have no reason to look at a load again: then only what they know to be
    affected is computed anew.
    """
    luck = Random(f"{seed}/world")
    as_of = luck.choice((datetime(2026, 3, 15, tzinfo=UTC), datetime(2026, 3, 15, 7, 30, 0, 1, tzinfo=UTC)))
    built_at = as_of + SETTLED_AFTER if settled else as_of
    overrides = FEW | (luck.choice(POLICIES) if policies else {})
    feeds = {}
    for feed, count in counts.items():
        records = [_Draw(f"{seed}/{feed}/{n}", n, as_of, people).record(feed) for n in range(count)]
        if clashes and feed in EVENT_KEYS:
            records = list(_with_clashes(records, feed, Random(f"{seed}/{feed}"), as_of, people))
        feeds[feed] = records
    return World(feeds, built_at, overrides)


def referral_world(seed: int, *, counts: Mapping[str, int] = REFERRAL_COUNTS, people: int = 8) -> World:
    """A world in which nearly everybody joins by somebody's invite: late records open and close rings, make and unmake
    bursts, and move whole subtrees from one root to another.

    Best dealt out with about half of the records in the first batch. settled, as `world` has it; but in one world of
    four a later version says of some users that they join after as_of.
    """
    luck = Random(f"{seed}/referrals")
    may_leave = luck.random() < 0.25
    as_of = luck.choice((datetime(2026, 3, 15, tzinfo=UTC), datetime(2026, 3, 15, 7, 30, 0, 1, tzinfo=UTC)))
    overrides = FEW | luck.choice(REFERRAL_POLICIES)
    feeds = {
        feed: [_ReferralDraw(f"{seed}/{feed}/{n}", n, as_of, people, may_leave).record(feed) for n in range(count)]
        for feed, count in counts.items()
    }
    return World(feeds, as_of + SETTLED_AFTER, overrides)


def content_world(seed: int, *, people: int = 240) -> World:
    """A world in which campaigns, and their variants, convert so differently that it shows: each person gets a campaign
    or two, in one variant or none, and converts by what that is worth.

    Half of the campaigns name a control; in some nobody is beside the variants. settled, as `world` has it.
    """
    luck = Random(f"{seed}/content")
    as_of = luck.choice((datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 3, 18, 7, 30, 0, 1, tzinfo=UTC)))
    statuses = ("draft", "scheduled", "active", "active", "paused", "completed")
    feeds: dict[str, list[dict[str, Any]]] = {
        "campaigns": [
            {
                "campaign_id": campaign,
                "name": f"campaign {campaign}",
                "channel": luck.choice(("email", "email", "sms")),
                "status": luck.choice(statuses),
                "created_at": _written(as_of - timedelta(days=200)),
                "updated_at": _written(as_of - timedelta(days=100)),
            }
            for campaign in CAMPAIGNS[:-1]
        ],
        "users": [],
        "campaign_events": [],
        "conversions": [],
    }
    groups = {
        campaign: luck.choice(((None,), (None, "v1", "v2"), ("control", "v1", "v2", None), ("v1", "vé")))
        for campaign in CAMPAIGNS
    }
    worth = {
        (name, variant): luck.choice((0, 0.1, 0.5, 1)) for name, variants in groups.items() for variant in variants
    }
    for number in range(people):
        address = f"p{number}@mail.example"
        joined_at = as_of - timedelta(days=190)
        feeds["users"].append({"user_id": f"p{number}", "email": address, "signed_up_at": _written(joined_at)})
        for campaign in luck.sample(CAMPAIGNS, luck.choice((1, 1, 2))):
            variant = luck.choice(groups[campaign])
            sent_at = as_of - timedelta(days=luck.choice((29, 30, 31, 60, 90, 91)))
            for n, kind in enumerate(("sent", "delivered", "opened")):
                told = {"variant_id": variant} if variant and luck.random() < 0.8 else {}
                feeds["campaign_events"].append(
                    {
                        "event_id": f"{campaign} {number} {kind}",
                        "event_type": kind if kind != "delivered" or luck.random() < 0.95 else "bounced",
                        "campaign_id": campaign,
                        "recipient_email": address,
                        "occurred_at": _written(sent_at + n * timedelta(hours=luck.choice((0, 1)))),
                    }
                    | told
                )
            if luck.random() < worth[campaign, variant]:
                feeds["conversions"].append(
                    {
                        "conversion_id": f"{campaign} {number}",
                        "user_id": f"p{number}",
                        "occurred_at": _written(sent_at + timedelta(days=luck.choice((1, 7, 28, 31)))),
                        "conversion_type": "subscription",
                        "revenue_cents": 100,
                    }
                )
    return World(feeds, as_of + SETTLED_AFTER, FEW | luck.choice(CONTENT_POLICIES))


def worlds(
    *, clashes: bool = True, policies: bool = True, settled: bool = False, largest: int = 30, people: int = 5
) -> st.SearchStrategy[World]:
    """Hypothesis strategy of worlds with up to `largest` records in each feed; shrinks to few records."""
    counts = st.fixed_dictionaries({feed: st.integers(0, largest) for feed in COUNTS})
    seeds = st.integers(0, 2**32)

    def drawn(seed: int, counts: dict[str, int]) -> World:
        return world(seed, counts=counts, people=people, clashes=clashes, policies=policies, settled=settled)

    return st.builds(drawn, seeds, counts)


def arrivals(
    feeds: Feeds, random: Random, batches: int, *, first: float = 0.8, resent: float = 0.2
) -> list[dict[str, list[Record]]]:
    """The records dealt out into batches, shuffled; a share of them is sent again, in any batch.

    first: share of the first batch. The later ones are small, so that most of what is known must stay as it
    is. Every batch names every feed. `together` of the result is the world that has then arrived.
    """
    dealt: list[dict[str, list[Record]]] = [{feed: [] for feed in feeds} for _ in range(batches)]
    for feed, records in feeds.items():
        sends = [*records, *(record for record in records if random.random() < resent)]
        random.shuffle(sends)
        for record in sends:
            batch = 0 if batches == 1 or random.random() < first else random.randrange(1, batches)
            dealt[batch][feed].append(record)
    return dealt


def together(batches: Iterable[Feeds]) -> dict[str, list[Record]]:
    """The feeds after these batches, in order of arrival."""
    arrived: dict[str, list[Record]] = {}
    for batch in batches:
        for feed, records in batch.items():
            arrived.setdefault(feed, []).extend(records)
    return arrived


def write_feeds(feeds: Feeds, folder: Path, name: str) -> list[Path]:
    """One file `<folder>/<feed>/<name>.jsonl` for each feed that has records; returns the files."""
    written = []
    for feed, records in feeds.items():
        if records:
            file = folder / feed / f"{name}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            file.write_text("".join(lines), encoding="utf-8")
            written.append(file)
    return written


def _with_clashes(
    records: Sequence[dict[str, Any]], feed: str, luck: Random, as_of: datetime, people: int
) -> Iterable[dict[str, Any]]:
    """The records, some followed or preceded by one that has the same key and says something else."""
    for n, record in enumerate(records):
        if luck.random() < 0.15:
            other = _Draw(f"{luck.random()}", n, as_of, people).record(feed)
            clash = other | {name: record[name] for name in EVENT_KEYS[feed]}
            yield from luck.choice(((record, clash), (clash, record)))
        else:
            yield record


class _Draw:
    """One record of any feed; n: its number, which makes its key."""

    def __init__(self, seed: str, n: int, as_of: datetime, people: int) -> None:
        self._luck = Random(seed)
        self._n = n
        self._as_of = as_of
        self._people = people

    def record(self, feed: str) -> dict[str, Any]:
        """A valid record of the feed. Optional fields may be absent, null or filled."""
        drawn = getattr(self, f"_{feed}")()
        return {name: value for name, value in drawn.items() if value is not None or self._luck.random() < 0.5}

    def _touchpoints(self) -> dict[str, Any]:
        user_id = self._luck.choice((None, self._user_id()))
        return {
            "event_id": self._id("t"),
            "user_id": user_id,
            "anonymous_id": self._device() if user_id is None else self._luck.choice((None, self._device())),
            "occurred_at": self._time(),
            "channel": "direct" if user_id == "u0" else self._luck.choice(CHANNELS),
            "campaign_id": self._luck.choice((None, *CAMPAIGNS)),
            "interaction": self._luck.choice((None, "click", "visit", "impression")),
            "utm_source": self._luck.choice((None, "a source")),
        }

    def _identities(self) -> dict[str, Any]:
        return {
            "event_id": self._id("k"),
            "anonymous_id": self._device(),
            "user_id": self._user_id(),
            "occurred_at": self._time(),
        }

    def _users(self) -> dict[str, Any]:
        number = self._n % self._people
        moved = self._luck.random() < 0.2
        joined_days_before = DAYS_BEFORE if moved else LATE_DAYS if number % 2 else EARLY_DAYS
        return {
            "user_id": f"u{number}",
            "email": self._address() if moved else self._address(number),
            "signed_up_at": self._time(joined_days_before),
            "user_type": self._luck.choice((None, "supplier", "couple")),
            "invite_id": self._luck.choice((None, None, self._invite_id(), f"i{number}", "never sent")),
            "updated_at": self._luck.choice((None, self._time())),
        }

    def _conversions(self) -> dict[str, Any]:
        return {
            "conversion_id": self._id("v"),
            "user_id": self._luck.choice((self._user_id(), self._user_id(), "never described")),
            "occurred_at": self._time(),
            "conversion_type": self._luck.choice(("signup", "signup", "trial", "subscription", "renewal")),
            "revenue_cents": self._luck.choice(CENTS),
            "currency": self._luck.choice(CURRENCIES),
        }

    def _refunds(self) -> dict[str, Any]:
        return {
            "refund_id": self._id("r"),
            "conversion_id": _name("v", self._luck.randrange(max(COUNTS["conversions"], 2 * self._people) + 1)),
            "occurred_at": self._time(),
            "refund_cents": self._luck.choice((1, 50, 100, 500_000, 2_000_000)),
        }

    def _ad_spend(self) -> dict[str, Any]:
        return {
            "spend_on": self._moment().date().isoformat(),
            "channel": self._luck.choice(("email", "paid_search", "billboard")),
            "campaign_id": self._luck.choice((None, "c1", "C2")),
            "cost_cents": self._luck.choice(CENTS),
            "currency": self._luck.choice(CURRENCIES),
            "updated_at": self._luck.choice((None, self._time())),
        }

    def _exchange_rates(self) -> dict[str, Any]:
        currency = self._luck.choice(("EUR", "EUR", "EUR", "USD", "GBP"))
        days_before = 121 if currency == "GBP" else self._luck.choice(RATE_DAYS)
        return {
            "rate_on": (self._as_of - timedelta(days=days_before)).date().isoformat(),
            "currency": currency,
            "rate": self._luck.choice(RATES),
            "updated_at": self._luck.choice((None, self._time())),
        }

    def _campaigns(self) -> dict[str, Any]:
        return {
            "campaign_id": self._luck.choice(CAMPAIGNS[:-1]),
            "name": f"campaign {self._n}",
            "channel": "email",
            "status": self._luck.choice(("draft", "active", "paused", "scheduled", "completed")),
            "created_at": self._time(),
            "updated_at": self._time(),
        }

    def _campaign_events(self) -> dict[str, Any]:
        kinds = ("sent", "sent", "delivered", "delivered", "bounced", "opened", "clicked", "unsubscribed", "complained")
        return {
            "event_id": self._id("m"),
            "event_type": self._luck.choice(kinds),
            "campaign_id": self._luck.choice(CAMPAIGNS),
            "recipient_email": self._address(),
            "occurred_at": self._time(),
            "variant_id": self._luck.choice(VARIANTS),
        }

    def _viral_actions(self) -> dict[str, Any]:
        """Half of the invites go to the actor's neighbour, so that some are repeated and some earn a join."""
        kinds = ("invite_sent",) * 9 + ("invite_opened", "invite_accepted", "reward_granted")
        actor = self._luck.randrange(self._people)
        return {
            "event_id": self._id("w"),
            "action_type": self._luck.choice(kinds),
            "actor_id": "never described" if self._luck.random() < 0.1 else f"u{actor}",
            "recipient_email": self._luck.choice((self._address(), self._address(actor + 1))),
            "invite_id": self._luck.choice((None, None, self._invite_id(), f"i{actor}")),
            "reward_cents": self._luck.choice((None, 2_500, 0)),
            "channel": self._luck.choice((None, "email", "Link\t", "")),
            "occurred_at": self._time(self._luck.choice((DAYS_BEFORE, EARLY_DAYS))),
        }

    def _integration_events(self) -> dict[str, Any]:
        return {
            "event_id": self._id("h"),
            "integration": self._luck.choice(("dashboard", "viral", "success", "offline")),
            "event_type": self._luck.choice(("heartbeat", "sync", "trigger", "queue")),
            "status": self._luck.choice(("ok", "failed")),
            "queue_depth": self._luck.choice((None, 7)),
            "occurred_at": self._time(),
            "expected": self._luck.choice((None, 0, 3, 100)),
            "actual": self._luck.choice((None, 0, 2, 3, 99, 101)),
        }

    def _attribution_truth(self) -> dict[str, Any]:
        return {
            "conversion_id": _name("v", self._n),
            "channel": self._luck.choice(("email", "none")),
            "method": self._luck.choice(("survey", "experiment")),
            "occurred_at": self._time(),
        }

    def _id(self, prefix: str) -> str:
        return _name(prefix, self._n)

    def _user_id(self) -> str:
        return f"u{self._luck.randrange(self._people)}"

    def _device(self) -> str:
        return f"d{self._luck.randrange(max(3, self._people // 2))}"

    def _invite_id(self) -> str:
        return f"i{self._luck.randrange(3 * self._people)}"

    def _address(self, number: int | None = None) -> str:
        """In some spelling that of the user of a number; without one of any user, or of a few who never join."""
        number = self._luck.randrange(self._people + 3) if number is None else number
        address = f"u{number}@mail.example"
        if number % 5 in (2, 3):
            # Two users, one mailbox.
            address = f"u{number // 5}@gmail.com" if number % 5 == 2 else f"u.{number // 5}+other@gmail.com"
        elif number % 5 == 4:
            address = f"u{number}@sub.mailinator.com" if number % 2 else f"u{number}@mailinator.com"
        return self._luck.choice((address, address, address.upper(), f" {address}\t"))

    def _moment(self, days_before: Sequence[int] = DAYS_BEFORE) -> datetime:
        if self._luck.random() < 0.1:
            return self._as_of - timedelta(microseconds=self._luck.randrange(90 * 86_400_000_000))
        moment = self._as_of - timedelta(days=self._luck.choice(days_before))
        if self._luck.random() < 0.3:
            moment -= self._luck.choice(HOURS)
        if self._luck.random() < 0.2:
            moment += self._luck.choice((-1, 1)) * timedelta(microseconds=1)
        return moment

    def _time(self, days_before: Sequence[int] = DAYS_BEFORE) -> str:
        moment = self._moment(days_before)
        if self._luck.random() < 0.1:
            return f"{(moment + timedelta(hours=2)).replace(tzinfo=None).isoformat()}+02:00"
        return _written(moment)


class _ReferralDraw(_Draw):
    """One record of a world of referrals: the first version of each person, then changes of it; the first invites are
    what people name, and go to nobody who joins otherwise."""

    def __init__(self, seed: str, n: int, as_of: datetime, people: int, may_leave: bool) -> None:
        super().__init__(seed, n, as_of, people)
        self._may_leave = may_leave

    def _users(self) -> dict[str, Any]:
        number, is_first = self._n % self._people, self._n < self._people
        drawn = self._luck.random()
        leaves = self._may_leave and not is_first and drawn > 0.7
        return {
            "user_id": f"u{number}",
            "email": self._address(number if is_first or drawn < 0.5 else None),
            "signed_up_at": self._time((-7,) if leaves else JOIN_DAYS),
            "user_type": self._luck.choice((None, "supplier", "couple")),
            "invite_id": self._invite_id() if self._luck.random() < 0.85 else None,
            "updated_at": None if is_first else self._time(JOIN_DAYS),
        }

    def _viral_actions(self) -> dict[str, Any]:
        is_named, action = self._n < 2 * self._people, super()._viral_actions()
        if not is_named and self._luck.random() < 0.7:
            return action
        return action | {
            "action_type": "invite_sent",
            "actor_id": self._user_id(),
            "recipient_email": f"nobody{self._n}@mail.example",
            "invite_id": f"i{self._n}" if is_named else self._invite_id(),
            "occurred_at": self._time(SEND_DAYS),
        }

    def _invite_id(self) -> str:
        return f"i{self._luck.randrange(2 * self._people)}"


def _written(moment: datetime) -> str:
    """An instant in UTC as a feed has it."""
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _name(prefix: str, n: int) -> str:
    """An id whose order by code point is neither that of n nor that of a dictionary: é, T, _ and digits mixed."""
    return f"{(prefix, prefix.upper(), '_' + prefix, 'é' + prefix, '10')[n % 5]}{n}"
