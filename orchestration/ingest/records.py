"""The contract of the twelve feeds, once: fields, kinds, keys, allowed values and ranges. Pure.

A field's type carries its rule for the decoder and, as its description, the words for whoever broke it.
How records are checked against this: validation.py. The public text of it: docs/feeds.md.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Meta, Struct, structs

MAX_BIGINT = 2**63 - 1
# Bytes in UTF-8: four such values (the covering index on touchpoints) still fit one index entry of 2,704 bytes.
MAX_KEY_BYTES = 256
MAX_TEXT_LENGTH = 10_000

UNKNOWN_CHANNEL = "unknown"
# The decoder counts characters; bytes are looked at afterwards, in both ways of validation.
Id = Annotated[
    str, Meta(min_length=1, max_length=MAX_KEY_BYTES, description=f"text of 1 to {MAX_KEY_BYTES} bytes in UTF-8")
]
Text = Annotated[
    str, Meta(min_length=1, max_length=MAX_TEXT_LENGTH, description=f"text of 1 to {MAX_TEXT_LENGTH} characters")
]
Channel = Annotated[
    str, Meta(max_length=MAX_KEY_BYTES, description=f"a channel's name of at most {MAX_KEY_BYTES} bytes in UTF-8")
]
Address = Annotated[
    str, Meta(min_length=3, max_length=320, description="one bare e-mail address (name, at sign, domain)")
]
Instant = Annotated[
    datetime,
    Meta(tz=True, description="an RFC 3339 time with its offset, from 1970 on, as 2026-01-31T09:30:00Z"),
]
Day = Annotated[date, Meta(description="a calendar day (UTC), from 1970 on, as 2026-01-31")]
Cents = Annotated[int, Meta(ge=0, le=MAX_BIGINT, description="a whole number of cents, 0 or more")]
Count = Annotated[int, Meta(ge=0, le=MAX_BIGINT, description="a whole number, 0 or more")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="an ISO 4217 code of three letters, as USD")]
Rate = Annotated[Decimal, Meta(description="a number above 0 and below 1e12, with at most 18 decimals")]


class Record(Struct, forbid_unknown_fields=True, gc=False):
    """One record that kept its feed's contract; extra fields travel beside it, as properties."""


class Campaign(Record, kw_only=True):
    """A campaign as it was described at updated_at."""

    campaign_id: Id
    name: Text
    channel: Channel = UNKNOWN_CHANNEL
    status: Literal["draft", "scheduled", "active", "paused", "completed"]
    owner_team: Text | None = None
    budget_cents: Cents | None = None
    currency: Currency | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    created_at: Instant
    updated_at: Instant


class CampaignEvent(Record, kw_only=True):
    """What happened to one message of a campaign."""

    event_id: Id
    event_type: Literal["sent", "delivered", "bounced", "opened", "clicked", "unsubscribed", "complained"]
    campaign_id: Id
    recipient_email: Address
    occurred_at: Instant


class Touchpoint(Record, kw_only=True):
    """One contact of a person, known or still anonymous, with a channel."""

    event_id: Id
    user_id: Id | None = None
    anonymous_id: Id | None = None
    occurred_at: Instant
    channel: Channel = UNKNOWN_CHANNEL
    campaign_id: Id | None = None
    interaction: Literal["impression", "click", "visit"] = "visit"
    utm_source: Text | None = None
    utm_medium: Text | None = None
    utm_campaign: Text | None = None


class Identity(Record, kw_only=True):
    """A claim that an anonymous id is, from then on, this user."""

    event_id: Id
    anonymous_id: Id
    user_id: Id
    occurred_at: Instant


class User(Record, kw_only=True):
    """A person with an account, as described at updated_at."""

    user_id: Id
    email: Address
    signed_up_at: Instant
    user_type: Literal["supplier", "couple"] | None = None
    invite_id: Id | None = None
    updated_at: Instant | None = None


class Conversion(Record, kw_only=True):
    """Something a user did that has a worth."""

    conversion_id: Id
    user_id: Id
    occurred_at: Instant
    conversion_type: Literal["signup", "trial", "subscription", "renewal"]
    revenue_cents: Cents
    currency: Currency = "USD"


class Refund(Record, kw_only=True):
    """Money given back on a conversion, in that conversion's currency."""

    refund_id: Id
    conversion_id: Id
    occurred_at: Instant
    refund_cents: Cents


class AdSpend(Record, kw_only=True):
    """What a channel, or one campaign in it, cost on a day; platforms restate it."""

    spend_on: Day
    channel: Channel = UNKNOWN_CHANNEL
    campaign_id: Id | None = None
    cost_cents: Cents
    impressions: Count | None = None
    clicks: Count | None = None
    currency: Currency = "USD"
    updated_at: Instant | None = None


class ExchangeRate(Record, kw_only=True):
    """Units of the reporting currency for one unit of this currency, on a day."""

    rate_on: Day
    currency: Currency
    rate: Rate
    updated_at: Instant | None = None


class ViralAction(Record, kw_only=True):
    """One step of an invite, from its sending to its reward."""

    event_id: Id
    action_type: Literal["invite_sent", "invite_opened", "invite_accepted", "reward_granted"]
    actor_id: Id
    recipient_email: Address
    invite_id: Id | None = None
    reward_cents: Cents | None = None
    occurred_at: Instant


class IntegrationEvent(Record, kw_only=True):
    """A sign of life, or of trouble, from a neighbouring system."""

    event_id: Id
    integration: Literal["dashboard", "viral", "success", "offline"]
    event_type: Literal["heartbeat", "sync", "trigger", "queue"]
    status: Literal["ok", "failed"]
    expected: Count | None = None
    actual: Count | None = None
    queue_depth: Count | None = None
    occurred_at: Instant


class AttributionTruth(Record, kw_only=True):
    """What is known, not modelled, about where a conversion came from."""

    conversion_id: Id
    channel: Channel = UNKNOWN_CHANNEL
    method: Literal["survey", "experiment"]
    occurred_at: Instant


@dataclass(frozen=True)
class Field:
    """One field of a feed. expected: what its value must be, in words; default: NODEFAULT when required."""

    name: str
    type: object
    kind: type
    expected: str
    required: bool
    default: object

    @property
    def is_nullable(self) -> bool:
        """Whether a record may go without it: optional and without a default."""
        return self.default is None

    @property
    def is_indexed(self) -> bool:
        """Whether it is an id or a channel: these stand in indexes, whose entries are limited in bytes."""
        return self.type in (Id, Channel)


@dataclass(frozen=True)
class Feed:
    """One feed's contract.

    record: its fields. key: what names a record. versioned: raw keeps every version (by content) rather than
    the first. own_times: the record's times; the greatest it carries places it, none may lie over a day ahead.
    frozen_by: the field that may not be older than frozen marts. address: the field that holds an e-mail
    address, address_keys: the columns of its two pseudonyms, verdict: the column, if any, that says whether its
    domain is disposable: what the engine judged, so no part of the record. one_of: at least one of these must be there.
    """

    name: str
    record: type[Record]
    key: tuple[str, ...]
    versioned: bool = False
    own_times: tuple[str, ...] = ("occurred_at",)
    frozen_by: str | None = "occurred_at"
    address: str | None = None
    address_keys: tuple[str, str] = ("recipient_key", "recipient_mailbox_key")
    verdict: str | None = None
    one_of: tuple[str, ...] = ()

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Fields by name, in the contract's order."""
        return {field.name: field for field in _fields(self.record)}

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Fields of free text, the address left out."""
        return tuple(
            n for n, f in self.fields.items() if f.kind is str and f.type is not Currency and n != self.address
        )

    @cached_property
    def times(self) -> tuple[str, ...]:
        """Fields that are times or days."""
        return tuple(name for name, field in self.fields.items() if field.kind in (datetime, date))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns of the raw table, load_id last."""
        names: list[str] = []
        for name in self.fields:
            names.extend(self.address_columns if name == self.address else (name,))
        return (*names, "properties", *(("record_sha256",) if self.versioned else ()), "load_id")

    @cached_property
    def address_columns(self) -> tuple[str, ...]:
        """Columns that hold what is kept of the address."""
        return (*self.address_keys, "key_version", *filter(None, (self.verdict,)))

    def header_problem(self, names: Sequence[str]) -> str | None:
        """Why columns of these names cannot hold the feed's records, or None."""
        missing = [name for name, field in self.fields.items() if field.required and name not in names]
        if missing:
            return f"columns are missing: {', '.join(missing)}"
        if self.one_of and not set(self.one_of) & set(names):
            return f"a column is missing: one of {', '.join(self.one_of)}"
        repeated = sorted({name for name in names if names.count(name) > 1})
        return f"columns stand twice: {', '.join(repeated)}" if repeated else None

    @property
    def raw_key(self) -> tuple[str, ...]:
        """Columns whose values are unique in the raw table."""
        return (*self.key, "record_sha256") if self.versioned else self.key


def _fields(record: type[Record]) -> Iterator[Field]:
    hints = get_type_hints(record, include_extras=True)
    for info in structs.fields(record):
        annotation = next(a for a in (*_members(hints[info.name]), hints[info.name]) if a is not type(None))
        if get_origin(annotation) is Literal:
            kind, expected = Literal, "one of " + ", ".join(get_args(annotation))
        else:
            kind, expected = annotation.__origin__, annotation.__metadata__[0].description
        required = info.default is NODEFAULT
        yield Field(info.name, annotation, kind, expected, required, info.default)


def _members(annotation: object) -> tuple[object, ...]:
    union = get_origin(annotation) not in (Literal, Annotated) and type(None) in get_args(annotation)
    return get_args(annotation) if union else ()


FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Feed(
            "campaigns",
            Campaign,
            ("campaign_id",),
            versioned=True,
            own_times=("created_at", "updated_at"),
            frozen_by=None,
        ),
        Feed("campaign_events", CampaignEvent, ("event_id",), address="recipient_email"),
        Feed("touchpoints", Touchpoint, ("event_id",), one_of=("user_id", "anonymous_id")),
        # A link made before the frozen days still decides whose the touches after them are.
        Feed("identities", Identity, ("event_id",), frozen_by=None),
        Feed(
            "users",
            User,
            ("user_id",),
            versioned=True,
            own_times=("signed_up_at", "updated_at"),
            frozen_by=None,
            address="email",
            address_keys=("email_key", "mailbox_key"),
            verdict="email_is_disposable",
        ),
        Feed("conversions", Conversion, ("conversion_id",)),
        Feed("refunds", Refund, ("refund_id",)),
        Feed(
            "ad_spend",
            AdSpend,
            ("spend_on", "channel", "campaign_id"),
            versioned=True,
            own_times=("spend_on", "updated_at"),
            frozen_by="spend_on",
        ),
        # A rate serves the conversions of the days after it, which need not be frozen.
        Feed(
            "exchange_rates",
            ExchangeRate,
            ("rate_on", "currency"),
            versioned=True,
            own_times=("rate_on", "updated_at"),
            frozen_by=None,
        ),
        Feed(
            "viral_actions",
            ViralAction,
            ("event_id",),
            address="recipient_email",
            verdict="recipient_is_disposable",
        ),
        Feed("integration_events", IntegrationEvent, ("event_id",)),
        Feed("attribution_truth", AttributionTruth, ("conversion_id", "method")),
    )
}


def fits_index(text: str) -> bool:
    """Whether an id, or a channel's final name, is short enough for every index that holds it."""
    return len(text.encode()) <= MAX_KEY_BYTES


_NOT_IN_A_NAME = re.compile(r"[\W_]+")


@lru_cache(maxsize=4096)
def channel_name(text: str) -> str:
    """A channel's name in lower snake case: `Paid  Search` is paid_search; `unknown` when nothing is left.

    Capitals start no new word (LinkedIn is linkedin). Letters of any script are kept.
    """
    return _NOT_IN_A_NAME.sub("_", text.lower()).strip("_") or UNKNOWN_CHANNEL
