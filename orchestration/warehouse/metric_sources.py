"""What is measured for alerts: the headline numbers as published, and how the engine is doing now.

A published number is a sample of its build's as_of, so that it counts once; the others are of the moment.
"""

import time
from collections.abc import Callable
from datetime import datetime
from math import isfinite
from typing import Any

import psycopg
from psycopg.rows import dict_row

from .reads import is_published

Sample = dict[str, Any]

K = """
select
    as_of as sampled_at, viral_coefficient::float8 as value, low::float8 as low, high::float8 as high,
    cohort_users as size, maturity::float8 as maturity
from marts.viral_headline
"""
ACCURACY = """
select
    builds.as_of as sampled_at,
    case when accuracy.status <> 'no_data' then accuracy.accuracy::float8 end as value,
    accuracy.accuracy_low::float8 as low, accuracy.accuracy_high::float8 as high, accuracy.conversions as size
from marts.attribution_accuracy as accuracy
cross join lateral (
    select as_of from ops.builds where status = 'published' order by build_id desc limit 1
) as builds
where
    accuracy.is_latest and accuracy.attribution_model = 'data_driven' and accuracy.truth_method = 'survey'
    and accuracy.calibration_id = ops.calibration_in_force()
"""
CONVERSION_RATE = """
select as_of as sampled_at, value::float8 as value, low::float8 as low, high::float8 as high, users as size
from marts.scorecard
where metric = 'campaign_conversion_rate'
"""
MARTS_AGE = """
select extract(epoch from %(now)s - max(finished_at))::float8 / 60 as value
from ops.builds
where status = 'published'
"""
FEED_AGE = """
select extract(epoch from %(now)s - min(latest.finished_at))::float8 / 3600 as value
from (
    select max(finished_at) as finished_at from raw.loads where status in ('loaded', 'accepted', 'held') group by feed
) as latest
"""
FAILED_RUNS = """
select count(*)::float8 as value
from ops.run_failures
where failed_at > %(now)s - interval '1 day' and failed_at <= %(now)s
"""
HELD_LOADS = "select count(*)::float8 as value from raw.loads where status = 'held'"
DEAD_MESSAGES = """
select count(*)::float8 as value
from ops.alert_outbox
-- A dead message's due_at is when it died.
where status = 'dead' and due_at > %(now)s - interval '1 day'
"""


def measure(connection: psycopg.Connection, now: datetime, metric: str) -> Sample | None:
    """One sample of a metric of METRICS, or None where there is nothing to measure yet. connection: in autocommit.

    What cannot be measured is a sample too: its error says why.
    """
    try:
        sample = METRICS[metric](connection, now)
    except psycopg.Error as error:
        sample = {"error": " ".join(str(error).split())[:500]}
    if sample is not None and not all(isfinite(sample.get(name) or 0) for name in ("value", "low", "high")):
        sample = {"error": "not a finite number"}
    return None if sample is None else {"sampled_at": now} | sample | {"metric": metric}


def _of_mart(mart: str, query: str) -> Callable[[psycopg.Connection, datetime], Sample | None]:
    """A sample without a value where nothing is published: how long there has been none is something to tell."""

    def read(connection: psycopg.Connection, now: datetime) -> Sample | None:
        return (_one(connection, query, now) if is_published(connection, mart) else None) or {}

    return read


def _of_ops(query: str) -> Callable[[psycopg.Connection, datetime], Sample | None]:
    def read(connection: psycopg.Connection, now: datetime) -> Sample | None:
        found = _one(connection, query, now)
        return None if found is None or found["value"] is None else found

    return read


def _answer_ms(connection: psycopg.Connection, _now: datetime) -> Sample | None:
    """Milliseconds of one answer of the headline of now; None before the first publication."""
    if not is_published(connection, "viral_headline"):
        return None
    start = time.perf_counter()
    connection.execute("select * from ops.viral_coefficient_now()").fetchone()
    return {"value": (time.perf_counter() - start) * 1000}


def _one(connection: psycopg.Connection, query: str, now: datetime) -> Sample | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, {"now": now}).fetchone()


METRICS: dict[str, Callable[[psycopg.Connection, datetime], Sample | None]] = {
    "viral_coefficient": _of_mart("viral_headline", K),
    "campaign_conversion_rate": _of_mart("scorecard", CONVERSION_RATE),
    "attribution_accuracy": _of_mart("attribution_accuracy", ACCURACY),
    "marts_age_minutes": _of_ops(MARTS_AGE),
    "feed_age_hours": _of_ops(FEED_AGE),
    "failed_runs": _of_ops(FAILED_RUNS),
    "held_loads": _of_ops(HELD_LOADS),
    "undelivered_alerts": _of_ops(DEAD_MESSAGES),
    "viral_coefficient_now_ms": _answer_ms,
}
