"""What a build must see of the feeds: one record per key, and nothing later than its as_of.

Belongs here: the rules of arrival (first event wins, newest version counts) and the cut by a record's
own time. Not here: what the records mean.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

Record = Mapping[str, Any]
Feeds = Mapping[str, Sequence[Record]]
"""Feed name -> its valid records in order of arrival, as they stand in feed files."""
Fingerprint = Callable[[str, Record], bytes]
"""(feed, record) -> SHA-256 of the canonical record: breaks ties between versions."""

EVENT_KEYS: dict[str, tuple[str, ...]] = {
    "campaign_events": ("event_id",),
    "touchpoints": ("event_id",),
    "identities": ("event_id",),
    "conversions": ("conversion_id",),
    "refunds": ("refund_id",),
    "viral_actions": ("event_id",),
    "integration_events": ("event_id",),
    "attribution_truth": ("conversion_id", "method"),
}
VERSION_KEYS: dict[str, tuple[str, ...]] = {
    "campaigns": ("campaign_id",),
    "users": ("user_id",),
    "ad_spend": ("spend_on", "channel", "campaign_id"),
    "exchange_rates": ("rate_on", "currency"),
}


def field(record: Record, name: str) -> Any:
    """The value of an optional field; None when it is absent, null or empty."""
    value = record.get(name)
    return None if value == "" else value


def instant(value: Any) -> datetime:
    """A time of a record, as text (RFC 3339) or datetime, in UTC; without an offset it is UTC already."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def day(value: Any) -> date:
    """A calendar day of a record, as text or date."""
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def json_fingerprint(feed: str, record: Record) -> bytes:
    """SHA-256 of the record as JSON with sorted keys: good enough where no engine takes part."""
    return hashlib.sha256(json.dumps([feed, record], sort_keys=True, default=str).encode()).digest()


def visible_events(feeds: Feeds, feed: str, as_of: datetime) -> list[Record]:
    """The events of a feed that exist at as_of, one per key.

    The first to arrive wins whatever its time says, and only then the cut is made: a first arrival dated
    after as_of hides its key, even when a re-send of the key claims an earlier time.
    """
    first: dict[tuple, Record] = {}
    for record in feeds.get(feed, ()):
        first.setdefault(tuple(field(record, name) for name in EVENT_KEYS[feed]), record)
    return [record for record in first.values() if instant(record["occurred_at"]) <= as_of]


def visible_versions(feeds: Feeds, feed: str, as_of: datetime, fingerprint: Fingerprint) -> list[Record]:
    """The version in force at as_of of each key of a versioned feed.

    The newest updated_at not after as_of; a missing one is older than all; a tie goes to the greater
    fingerprint. The record's own time (if it has one) is cut afterwards, by the users of this function.
    """
    newest: dict[tuple, tuple[tuple, Record]] = {}
    for record in feeds.get(feed, ()):
        stamp = field(record, "updated_at")
        if stamp is not None and instant(stamp) > as_of:
            continue
        age = (stamp is not None, instant(stamp) if stamp is not None else as_of, fingerprint(feed, record))
        key = tuple(field(record, name) for name in VERSION_KEYS[feed])
        if key not in newest or age > newest[key][0]:
            newest[key] = (age, record)
    return [record for _, record in newest.values()]


def visible_on_days(feeds: Feeds, feed: str, on: str, as_of: datetime, fingerprint: Fingerprint) -> Iterator[Record]:
    """The versions in force of a feed of calendar days, up to as_of's own day; on: its day field."""
    for record in visible_versions(feeds, feed, as_of, fingerprint):
        if day(record[on]) <= as_of.astimezone(UTC).date():
            yield record
