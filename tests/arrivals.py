"""Loads put straight into raw tables, described by one record: for tests of what comes after ingest."""

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql

from orchestration.warehouse import Warehouse, builds, ledger

NOW = datetime.now(UTC).replace(microsecond=0)
PEOPLE = 200
CHANNELS = ("email", "paid_search", "organic_search", "direct")

Record = Mapping[str, Any]
RATES_FROM = (NOW - timedelta(days=100)).date()
_serial = itertools.count(1)
_rate_days = itertools.count()


def _person(number: int) -> str:
    return f"u-{number % PEOPLE}"


def touchpoint(number: int) -> Record:
    """An ordinary touch."""
    return {
        "event_id": f"t-{next(_serial)}",
        "user_id": _person(number),
        "occurred_at": (NOW - timedelta(hours=number % 48 + 1)).isoformat(),
        "channel": CHANNELS[number % len(CHANNELS)],
        "interaction": ("visit", "click")[number % 2],
    }


def conversion(number: int) -> Record:
    """An ordinary conversion of about 30 dollars; every tenth in euros."""
    return {
        "conversion_id": f"c-{next(_serial)}",
        "user_id": _person(number),
        "occurred_at": (NOW - timedelta(hours=number % 48 + 1)).isoformat(),
        "conversion_type": ("signup", "trial", "subscription")[number % 3],
        "revenue_cents": 2_500 + number % 1_000,
        "currency": "EUR" if number % 10 == 0 else "USD",
    }


def rate(number: int) -> Record:
    """The euro's rate of one more day."""
    return {
        "rate_on": str(RATES_FROM + timedelta(days=next(_rate_days) % 90)),
        "currency": "EUR",
        "rate": 1.1 + number % 7 / 1000,
        "record_sha256": f"\\x{next(_serial):08x}",
    }


def send(
    warehouse: Warehouse,
    feed: str,
    record: Callable[[int], Record],
    count: int,
    *,
    earliest_at: datetime = NOW - timedelta(days=30),
    quarantined: int = 0,
    conflicting: int = 0,
    **changed: Any,
) -> int:
    """A load of `count` records and its number. changed: fields of all of them; quarantined, conflicting: as the
    ledger counts them, on top of count."""
    rows = [{**record(number), **changed} for number in range(count)]
    with warehouse.connect() as connection:
        load_id = connection.execute(
            """
            insert into raw.loads (
                feed, source, records_read, inserted, duplicate, conflicting, quarantined,
                earliest_at, latest_at, started_at
            )
            values (%(feed)s, 'test', %(all)s, %(count)s, %(conflicting)s, %(conflicting)s, %(quarantined)s,
                %(earliest_at)s, %(now)s, %(now)s)
            returning load_id
            """,
            {
                "feed": feed,
                "all": count + quarantined + conflicting,
                "count": count,
                "conflicting": conflicting,
                "quarantined": quarantined,
                "earliest_at": earliest_at,
                "now": NOW,
            },
        ).fetchone()[0]
        names = dict.fromkeys(name for row in [*rows, {"load_id": load_id}] for name in row)
        parts = {"table": sql.Identifier("raw", feed), "columns": sql.SQL(", ").join(map(sql.Identifier, names))}
        # Columns that no record names keep their default.
        connection.execute(
            sql.SQL(
                "insert into {table} ({columns}) select {columns} from jsonb_populate_recordset(null::{table}, %s)"
            ).format(**parts),
            [json.dumps([{**row, "load_id": load_id} for row in rows])],
        )
    return load_id


def open_build(warehouse: Warehouse, as_of: datetime = NOW) -> int:
    """A running build that has claimed every waiting load."""
    with warehouse.connect() as connection:
        return builds.open_build(
            connection,
            as_of=as_of,
            policy_sha256="test",
            code_sha256="test",
            requested_by="a test",
            run_id=None,
            full_reason=None,
        ).build_id


def publish(warehouse: Warehouse, build_id: int) -> None:
    """Have the build and its loads count as published."""
    with warehouse.connect() as connection:
        builds.mark_published(connection, build_id, {})


def status_of(warehouse: Warehouse, load_id: int) -> str:
    """What the ledger says of a load."""
    with warehouse.connect() as connection:
        return next(load.status for load in ledger.loads(connection) if load.load_id == load_id)
