"""Good records of every feed, for tests of ingest."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from orchestration.ingest.open_load import PersonalData
from orchestration.ingest.records import FEEDS
from orchestration.privacy.pseudonyms import Pseudonyms
from orchestration.privacy.vault import Cipher

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
"""The real clock, as these tests tell it to ingest."""
AT = "2026-06-01T10:00:00Z"
KEY = b"a key of thirty-two bytes or more"

PERSONAL_DATA = PersonalData(
    pseudonyms=Pseudonyms(KEY), vault=Cipher(KEY, purpose="vault"), quarantine=Cipher(KEY, purpose="quarantine")
)

Record = dict[str, Any]

COMPLETE: dict[str, Record] = {
    "campaigns": {
        "campaign_id": "c-1",
        "name": "Spring, for couples",
        "channel": "email",
        "status": "active",
        "owner_team": "growth",
        "budget_cents": 250_000,
        "currency": "EUR",
        "starts_at": "2027-03-01T00:00:00Z",
        "ends_at": "2027-04-01T00:00:00Z",
        "created_at": AT,
        "updated_at": AT,
    },
    "campaign_events": {
        "event_id": "ce-1",
        "event_type": "delivered",
        "campaign_id": "c-1",
        "recipient_email": "ada@example.com",
        "occurred_at": AT,
    },
    "touchpoints": {
        "event_id": "t-1",
        "user_id": "u-1",
        "anonymous_id": "a-1",
        "occurred_at": AT,
        "channel": "paid_search",
        "campaign_id": "c-1",
        "interaction": "click",
        "utm_source": "search",
        "utm_medium": "cpc",
        "utm_campaign": "spring",
    },
    "identities": {"event_id": "i-1", "anonymous_id": "a-1", "user_id": "u-1", "occurred_at": AT},
    "users": {
        "user_id": "u-1",
        "email": "ada@example.com",
        "signed_up_at": AT,
        "user_type": "couple",
        "invite_id": "v-1",
        "updated_at": AT,
    },
    "conversions": {
        "conversion_id": "k-1",
        "user_id": "u-1",
        "occurred_at": AT,
        "conversion_type": "subscription",
        "revenue_cents": 12_900,
        "currency": "USD",
    },
    "refunds": {"refund_id": "r-1", "conversion_id": "k-1", "occurred_at": AT, "refund_cents": 900},
    "ad_spend": {
        "spend_on": "2026-06-01",
        "channel": "paid_search",
        "campaign_id": "c-1",
        "cost_cents": 40_000,
        "impressions": 9000,
        "clicks": 210,
        "currency": "USD",
        "updated_at": AT,
    },
    "exchange_rates": {"rate_on": "2026-06-01", "currency": "EUR", "rate": "1.0825", "updated_at": AT},
    "viral_actions": {
        "event_id": "va-1",
        "action_type": "invite_sent",
        "actor_id": "u-1",
        "recipient_email": "bob@example.org",
        "invite_id": "v-1",
        "reward_cents": 500,
        "occurred_at": AT,
    },
    "integration_events": {
        "event_id": "ie-1",
        "integration": "dashboard",
        "event_type": "sync",
        "status": "ok",
        "expected": 10,
        "actual": 9,
        "queue_depth": 1,
        "occurred_at": AT,
    },
    "attribution_truth": {"conversion_id": "k-1", "channel": "email", "method": "survey", "occurred_at": AT},
}
"""One record for each feed, with all of its fields."""


def line(record: Mapping[str, Any]) -> bytes:
    """A line of JSON without its end."""
    return json.dumps(record).encode()


def write_jsonl(folder: Path, feed: str, records: Sequence[Mapping[str, Any] | bytes], name: str = "a.jsonl") -> Path:
    """A feed file; records given as bytes are written as they are."""
    path = folder / feed / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((r if isinstance(r, bytes) else line(r)) + b"\n" for r in records))
    return path


TEXTS = st.text('aé%40@.\\"\t \0{', max_size=5)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.sampled_from(
        ["", "ada@example.com", "a%40b.co", "x\\y\t\n", AT, "1969-01-01T00:00:00Z", "2026-06-01", "usd", "null"]
    ),
    st.lists(TEXTS | st.none(), max_size=2),
    st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=2), max_size=2),
)


@st.composite
def drawn_records(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A feed, and a record of it with some fields replaced, some taken away and some added."""
    feed = draw(st.sampled_from(sorted(FEEDS)))
    record = dict(COMPLETE[feed])
    for name in draw(st.lists(st.sampled_from(sorted(record)), max_size=3, unique=True)):
        if draw(st.booleans()):
            del record[name]
        else:
            record[name] = draw(JUNK)
    record.update(
        draw(st.dictionaries(st.sampled_from(["x", "ada@example.com", "properties", "\0"]), JUNK, max_size=2))
    )
    return feed, record
