"""The headline of this moment: what was published and what has been committed since, against the oracle."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import psycopg
import pytest

from tests.engine import POLICY, Engine, policy
from tests.oracles.feeds import Feeds
from tests.oracles.oracle import trimmed_lower
from tests.oracles.records import invite, user
from tests.oracles.viral import referrals_of
from tests.oracles.viral_marts import cohorts_of, lags_of, viral_headline

BUILT_AT = datetime(2026, 6, 1, 10, 17, tzinfo=UTC)
OVERRIDES = {"viral_min_users": 20, "viral_burst_joins": 3, "viral_burst_hours": 1}
CLOSE = Decimal("1e-9")
"""Users are summed up in other parts than the oracle's, and each part is rounded to 12 decimals."""


def referral_world(seed: int, people: int = 160) -> list[tuple[str, dict[str, Any]]]:
    """(feed, record) in order of their own time: users over 70 days, most of them brought by an earlier one, some by
    name and some by address; rivals, repeats, invites to oneself and to users; the first two share a mailbox."""
    luck = Random(seed)
    start = BUILT_AT - timedelta(days=65)
    joined: list[tuple[str, datetime]] = []
    records: list[tuple[str, dict[str, Any]]] = []
    for number in range(people):
        name, at = f"p{number}", start + timedelta(days=70 * (number + luck.random()) / people)
        named = None
        if joined and (number == 1 or luck.random() < 0.8):
            inviter, inviter_at = luck.choice(joined[-60:])
            sent = inviter_at + (at - inviter_at) * luck.uniform(0.1, 0.95)
            key = f"i{number}"
            records.append(("viral_actions", invite(f"e{number}", inviter, name, sent, invite_id=key)))
            if luck.random() < 0.3:
                repeat = sent + (at - sent) / 2
                records.append(("viral_actions", invite(f"r{number}", inviter, name, repeat)))
            if luck.random() < 0.3:
                rival = luck.choice(joined[-60:])[0]
                records.append(("viral_actions", invite(f"v{number}", rival, name, sent - timedelta(hours=1))))
            if luck.random() < 0.2:
                records.append(("viral_actions", invite(f"s{number}", inviter, inviter, sent)))
            if luck.random() < 0.2:
                records.append(("viral_actions", invite(f"u{number}", inviter, joined[0][0], sent)))
            named = key if luck.random() < 0.4 else None
        record = user(name, at, invite_id=named)
        if luck.random() < 0.1:
            record["email"] = f"{name}@mailinator.com"
        elif number < 2:
            record["email"] = f"shared+{name}@gmail.com"
        records.append(("users", record))
        joined.append((name, at))
    return records


def as_feeds(records: list[tuple[str, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    feeds: dict[str, list[dict[str, Any]]] = {"users": [], "viral_actions": []}
    for feed, record in records:
        feeds[feed].append(record)
    return feeds


def told(engine: Engine, at: datetime) -> dict[str, Any]:
    with engine.warehouse.connect() as connection:
        cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
        return cursor.execute("select * from ops.viral_coefficient_now(%s)", [at]).fetchone()


def expected(engine: Engine, built: Feeds, known: Feeds, at: datetime) -> dict[str, Any]:
    """The headline at that time of all that is known by then, with the lag distribution of the build."""
    numbers = POLICY | OVERRIDES
    then = referrals_of(built, BUILT_AT, numbers, engine.fingerprint, trimmed_lower)
    now = referrals_of(known, at, numbers, engine.fingerprint, trimmed_lower)
    return viral_headline(cohorts_of(now, lags_of(then, BUILT_AT, numbers), at, numbers), at, numbers)


@pytest.fixture
def under_policy() -> Iterator[None]:
    with policy(OVERRIDES):
        yield


@pytest.mark.usefixtures("under_policy")
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (1, 2))])
def test_the_headline_of_now_is_that_of_all_that_is_committed(engine: Engine, seed: int) -> None:
    """Prevents a headline that waits for a build, or counts what arrives late, twice or in another order wrongly."""
    luck = Random(seed)
    records = referral_world(seed)
    cut = [max(record.get("occurred_at", ""), record.get("signed_up_at", "")) for _feed, record in records]
    # Most of what had happened is built; a few of these, and all that came after, arrive without a build.
    is_built = [moment <= BUILT_AT.isoformat() and luck.random() < 0.93 for moment in cut]
    built = as_feeds([record for record, first in zip(records, is_built, strict=True) if first])
    late = [record for record, first in zip(records, is_built, strict=True) if not first]
    engine.ingest(built)
    engine.build(BUILT_AT)
    for at in (BUILT_AT, BUILT_AT + timedelta(hours=5), BUILT_AT + timedelta(days=3)):
        found, wanted = told(engine, at), expected(engine, built, built, at)
        assert found["viral_coefficient"] is not None
        assert abs(found["viral_coefficient"] - wanted["viral_coefficient"]) < CLOSE

    luck.shuffle(late)
    arrived = dict(built)
    for part in (late[: len(late) // 2], late[len(late) // 2 :]):
        feeds = as_feeds(part)
        engine.ingest(feeds)
        arrived = {feed: [*arrived[feed], *feeds[feed]] for feed in arrived}
        for at in (BUILT_AT + timedelta(minutes=1), BUILT_AT + timedelta(days=4)):
            found, wanted = told(engine, at), expected(engine, built, arrived, at)
            assert (found["cohort_users"], found["net_joins"]) == (wanted["cohort_users"], wanted["net_joins"])
            assert found["period_end_on"] == wanted["period_end_on"]
            assert abs(found["viral_coefficient"] - wanted["viral_coefficient"]) < CLOSE
            assert abs(found["maturity"] - wanted["maturity"]) < CLOSE
    engine.ingest(as_feeds(late))
    again = told(engine, BUILT_AT + timedelta(days=4))
    assert again["viral_coefficient"] == found["viral_coefficient"], "a re-send changed the headline"


@pytest.mark.usefixtures("under_policy")
def test_right_after_a_build_the_headline_of_now_is_the_published_one(engine: Engine) -> None:
    """Prevents two headlines."""
    engine.ingest(as_feeds(referral_world(5)))
    engine.build(BUILT_AT)
    (published,) = engine.marts()["viral_headline"]
    found = told(engine, BUILT_AT)
    assert found["viral_coefficient"] == published["viral_coefficient"]
    assert (found["cohort_users"], found["net_joins"]) == (published["cohort_users"], published["net_joins"])
    assert (found["users_since"], found["joins_since"]) == (0, 0)


@pytest.mark.usefixtures("under_policy")
def test_a_held_load_is_not_in_the_headline_of_now(engine: Engine) -> None:
    """Prevents numbers from records that someone is still to look at."""
    records = referral_world(6)
    engine.ingest(as_feeds(records[:-40]))
    engine.build(BUILT_AT + timedelta(days=2))
    before = told(engine, BUILT_AT + timedelta(days=5))
    loads = engine.ingest(as_feeds(records[-40:]))
    after = told(engine, BUILT_AT + timedelta(days=5))
    assert after["users_since"] > 0
    with engine.warehouse.connect() as connection:
        ids = [load.load_id for load in loads]
        connection.execute("update raw.loads set status = 'held' where load_id = any(%s)", [ids])
    assert told(engine, BUILT_AT + timedelta(days=5)) == before


@pytest.mark.usefixtures("under_policy")
def test_the_past_is_refused_with_a_way_out(engine: Engine) -> None:
    """Prevents a headline of a past day that knows what came after it."""
    engine.ingest(as_feeds(referral_world(7)))
    engine.build(BUILT_AT)
    with pytest.raises(psycopg.errors.RaiseException, match="viral_backtest") as raised:
        told(engine, BUILT_AT - timedelta(seconds=1))
    assert "which is later" in json.dumps(str(raised.value))


@pytest.mark.usefixtures("under_policy")
def test_after_a_flood_it_says_that_a_build_is_due(engine: Engine) -> None:
    """Prevents a dashboard that hangs for minutes on a bulk load."""
    engine.ingest(as_feeds(referral_world(7)))
    engine.build(BUILT_AT)
    engine.ingest({"users": [user("latecomer", BUILT_AT)]})
    with engine.warehouse.connect() as connection:
        flood = "update raw.loads set inserted = 1000000, records_read = 1000000 where published_build_id is null"
        connection.execute(flood)
    with pytest.raises(psycopg.errors.RaiseException, match="1000000 records have come since the published build"):
        told(engine, BUILT_AT)
