"""Reads simulated feed files record by record and states the contract once more, apart from the simulation."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

Record = dict[str, object]
EVENT_FEEDS = {
    "campaign_events": ("event_id",),
    "touchpoints": ("event_id",),
    "identities": ("event_id",),
    "conversions": ("conversion_id",),
    "refunds": ("refund_id",),
    "viral_actions": ("event_id",),
    "integration_events": ("event_id",),
    "attribution_truth": ("conversion_id", "method"),
}
VERSIONED_FEEDS = {
    "campaigns": ("campaign_id",),
    "users": ("user_id",),
    "ad_spend": ("spend_on", "channel", "campaign_id"),
    "exchange_rates": ("rate_on", "currency"),
}


@cache
def lines_of(out: Path, feed: str) -> list[tuple[Path, Record | None]]:
    """Every line of a feed in order of its files: (file, record, or None where nothing can be read)."""
    return list(_read(out, feed))


def _read(out: Path, feed: str) -> Iterator[tuple[Path, Record | None]]:
    for path in sorted((out / feed).iterdir()):
        if path.suffix == ".parquet":
            yield from ((path, _present(record)) for record in pq.read_table(path).to_pylist())
            continue
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        if ".csv" in path.name:
            yield from ((path, _present(record)) for record in csv.DictReader(io.StringIO(text)))
        else:
            yield from ((path, _parsed(line)) for line in text.splitlines())


def _parsed(line: str) -> Record | None:
    try:
        return _present(json.loads(line))
    except json.JSONDecodeError:
        return None


def _present(record: Record) -> Record:
    return {name: value for name, value in record.items() if value not in (None, "")}


@cache
def good(out: Path, feed: str) -> list[Record]:
    """The records that keep the contract: of an event the first to arrive, of a versioned feed all."""
    records = [record for _, record in lines_of(out, feed) if record is not None and problem(feed, record) is None]
    if feed in VERSIONED_FEEDS:
        return records
    first: dict[tuple, Record] = {}
    for record in records:
        first.setdefault(key(feed, record), record)
    return list(first.values())


def newest(out: Path, feed: str) -> list[Record]:
    """The last version of each record of a versioned feed; one without updated_at is older than all."""
    found: dict[tuple, Record] = {}
    for record in sorted(good(out, feed), key=lambda one: str(one.get("updated_at", ""))):
        found[key(feed, record)] = record
    return list(found.values())


def key(feed: str, record: Record) -> tuple:
    """The key of a record."""
    return tuple(record.get(name) for name in (EVENT_FEEDS | VERSIONED_FEEDS)[feed])


def time_of(value: object) -> datetime:
    """A record's time, from text or as typed."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_time(value: object) -> bool:
    try:
        return time_of(value).astimezone(UTC).year > 2000
    except ValueError:
        return False


def _is_day(value: object) -> bool:
    try:
        return date.fromisoformat(str(value)).year > 2000
    except ValueError:
        return False


def _is_count(value: object) -> bool:
    return str(value).isdecimal() and not isinstance(value, bool)


def _is_rate(value: object) -> bool:
    try:
        return float(str(value)) > 0
    except ValueError:
        return False


def _is_address(value: object) -> bool:
    name, at, domain = str(value).strip().partition("@")
    return bool(name and at and "." in domain and "@" not in domain)


def _one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: value in words


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isupper()


REQUIRED: dict[str, dict[str, Callable[[object], bool]]] = {
    "campaigns": {
        "campaign_id": _is_text,
        "name": _is_text,
        "channel": _is_text,
        "status": _one_of("draft", "scheduled", "active", "paused", "completed"),
        "created_at": _is_time,
        "updated_at": _is_time,
    },
    "campaign_events": {
        "event_id": _is_text,
        "event_type": _one_of("sent", "delivered", "bounced", "opened", "clicked", "unsubscribed", "complained"),
        "campaign_id": _is_text,
        "recipient_email": _is_address,
        "occurred_at": _is_time,
    },
    "touchpoints": {"event_id": _is_text, "occurred_at": _is_time, "channel": _is_text},
    "identities": {"event_id": _is_text, "anonymous_id": _is_text, "user_id": _is_text, "occurred_at": _is_time},
    "users": {"user_id": _is_text, "email": _is_address, "signed_up_at": _is_time},
    "conversions": {
        "conversion_id": _is_text,
        "user_id": _is_text,
        "occurred_at": _is_time,
        "conversion_type": _one_of("signup", "trial", "subscription", "renewal"),
        "revenue_cents": _is_count,
    },
    "refunds": {
        "refund_id": _is_text,
        "conversion_id": _is_text,
        "occurred_at": _is_time,
        "refund_cents": _is_count,
    },
    "ad_spend": {"spend_on": _is_day, "channel": _is_text, "cost_cents": _is_count},
    "exchange_rates": {"rate_on": _is_day, "currency": _is_currency, "rate": _is_rate},
    "viral_actions": {
        "event_id": _is_text,
        "action_type": _one_of("invite_sent", "invite_opened", "invite_accepted", "reward_granted"),
        "actor_id": _is_text,
        "recipient_email": _is_address,
        "occurred_at": _is_time,
    },
    "integration_events": {
        "event_id": _is_text,
        "integration": _one_of("dashboard", "viral", "success", "offline"),
        "event_type": _one_of("heartbeat", "sync", "trigger", "queue"),
        "status": _one_of("ok", "failed"),
        "occurred_at": _is_time,
    },
    "attribution_truth": {
        "conversion_id": _is_text,
        "channel": _is_text,
        "method": _one_of("survey", "experiment"),
        "occurred_at": _is_time,
    },
}
OPTIONAL: dict[str, Callable[[object], bool]] = {
    "owner_team": _is_text,
    "budget_cents": _is_count,
    "currency": _is_currency,
    "starts_at": _is_time,
    "ends_at": _is_time,
    "user_id": _is_text,
    "anonymous_id": _is_text,
    "campaign_id": _is_text,
    "interaction": _one_of("impression", "click", "visit"),
    "utm_source": _is_text,
    "utm_medium": _is_text,
    "utm_campaign": _is_text,
    "app_version": _is_text,
    "channel": _one_of("link", "email", "messenger"),
    "variant_id": _one_of("control", "shorter-subject"),
    "user_type": _one_of("supplier", "couple"),
    "invite_id": _is_text,
    "updated_at": _is_time,
    "impressions": _is_count,
    "clicks": _is_count,
    "reward_cents": _is_count,
    "expected": _is_count,
    "actual": _is_count,
    "queue_depth": _is_count,
}


def problem(feed: str, record: Record) -> str | None:
    """The first field that breaks the feed's contract, None for a good record."""
    required = REQUIRED[feed]
    for name, is_right in required.items():
        if name not in record or not is_right(record[name]):
            return name
    for name in record.keys() - required.keys():
        if not OPTIONAL[name](record[name]):
            return name
    if feed == "touchpoints" and not record.keys() & {"user_id", "anonymous_id"}:
        return "user_id"
    return None
