"""What is measured for alerts and service levels: the numbers as published, and how the engine is doing.

Each sample is of its moment: a published number says again what the marts say now; how old that is, is a metric itself.
"""

import time
from collections.abc import Callable
from datetime import datetime
from math import isfinite
from typing import Any

import psycopg
from psycopg.rows import dict_row

from orchestration.policy import Policy

from .metric_samples import Sample
from .reads import is_published

Query = Callable[[psycopg.Connection, dict[str, Any]], Sample | None]

# A number of the scorecard: null while it has none.
HEADLINE = """
select
    scorecard.value::float8 as value, scorecard.low::float8 as low, scorecard.high::float8 as high,
    scorecard.users as size, scorecard.maturity::float8 as maturity, latest.run_id
from marts.scorecard as scorecard
left join lateral (
    select run_id from ops.builds where status = 'published' order by build_id desc limit 1
) as latest on true
where scorecard.metric = %(headline)s
"""
ACCURACY = """
select
    case when status <> 'no_data' then accuracy::float8 end as value,
    accuracy_low::float8 as low, accuracy_high::float8 as high, conversions as size
from marts.attribution_accuracy
where
    is_latest and attribution_model = 'data_driven' and truth_method = 'survey'
    and calibration_id = ops.calibration_in_force()
"""
INTEGRATION = "select value::float8 as value, events as size from marts.integration_health where integration = %(of)s"
SILENT = """
select max(heartbeat_age_minutes)::float8 as value
from marts.integration_health
where integration <> 'dashboard'
"""
CRITICAL = """
select count(*) filter (where status = 'critical')::float8 as value, count(*) as size from marts.system_health
"""
MARTS_AGE = """
select
    extract(epoch from %(now)s - finished_at)::float8 / 60 as value,
    (select run_id from ops.builds order by build_id desc limit 1) as run_id
from ops.builds
where status = 'published'
order by build_id desc
limit 1
"""
FEED_AGE = """
select extract(epoch from %(now)s - min(latest.finished_at))::float8 / 3600 as value
from (
    select max(finished_at) as finished_at from raw.loads where status in ('loaded', 'accepted', 'held') group by feed
) as latest
"""
FAILED_RUNS = """
select count(*)::float8 as value, (array_agg(run_id order by failed_at desc))[1] as run_id
from ops.run_failures
where failed_at > %(now)s - interval '1 day' and failed_at <= %(now)s
"""
# Checks, or models, by which the latest build that ended came to nothing.
FAILED_CHECKS = """
select
    case when status = 'failed' then jsonb_array_length(coalesce(figures -> 'failed', '[]')) else 0 end as value,
    run_id
from ops.builds
where status in ('published', 'failed')
order by build_id desc
limit 1
"""
HELD_LOADS = "select count(*)::float8 as value from raw.loads where status = 'held'"
DEAD_MESSAGES = """
select count(*)::float8 as value
from ops.alert_outbox
-- A dead message's due_at is when it died.
where status = 'dead' and due_at > %(now)s - interval '1 day'
"""
# Minutes, of all that have passed whole, in which the warehouse answered: one without a sample counts as down.
ANSWERED = """
select
    count(*) filter (where minutes.avg = 1)::float8 / nullif(span.minutes, 0) as up, span.minutes
from (
    select since.at, (extract(epoch from date_trunc('minute', %(now)s) - since.at) / 60)::bigint as minutes
    from (
        select greatest(min(bucket_at), date_trunc('minute', %(now)s) - make_interval(mins => %(minutes)s)) as at
        from ops.metric_rollups
        where metric = 'engine_up' and resolution = '1m'
        -- Nothing is known of the time before the first sample, nor is it of any use to ask.
        having count(*) > 0
    ) as since
) as span
left join ops.metric_rollups as minutes
    on
        minutes.metric = 'engine_up'
        and minutes.resolution = '1m'
        and minutes.bucket_at >= span.at
        and minutes.bucket_at < date_trunc('minute', %(now)s)
group by span.at, span.minutes
"""
SLOWEST = """
select percentile_disc(0.99) within group (order by value) as value, count(*) as size
from ops.metric_samples
where metric = any(%(operations)s) and sampled_at > %(now)s - interval '1 day' and sampled_at <= %(now)s
group by metric
having count(value) > 0
order by value desc
limit 1
"""


def measure(connection: psycopg.Connection, now: datetime, metric: str, policy: Policy) -> Sample | None:
    """One sample of a metric of METRICS, or None where there is nothing to measure yet, or where it is not for us to.

    connection: in autocommit. What cannot be measured is a sample too: its error says what kind.
    """
    source = METRICS[metric]
    if source is None:
        return None
    try:
        sample = source(connection, policy.model_dump() | {"now": now})
    except psycopg.Error as error:
        # Not its text, which alerts would carry to wherever they go: it may quote what somebody wrote.
        sample = {"error": f"{type(error).__name__} ({error.sqlstate or 'no connection'})"}
    if sample is not None and not all(isfinite(sample.get(name) or 0) for name in ("value", "low", "high")):
        sample = {"error": "not a finite number"}
    return None if sample is None else sample | {"metric": metric, "sampled_at": now}


def _of_mart(mart: str, query: str, **of: str) -> Query:
    """A sample without a value where nothing is published: how long there has been none is something to tell."""

    def read(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
        return (_one(connection, query, given | of) if is_published(connection, mart) else None) or {}

    return read


def _of_ops(query: str) -> Query:
    def read(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
        found = _one(connection, query, given)
        return None if found is None or found["value"] is None else found

    return read


def _milliseconds(mart: str, query: str) -> Query:
    """How long one answer takes; None before the first publication."""

    def read(connection: psycopg.Connection, _given: dict[str, Any]) -> Sample | None:
        if not is_published(connection, mart):
            return None
        start = time.perf_counter()
        connection.execute(query).fetchall()
        return {"value": (time.perf_counter() - start) * 1000}

    return read


def _up(connection: psycopg.Connection, _given: dict[str, Any]) -> Sample:
    """1 when readers get their answer; that the warehouse answers at all is shown by the sample being there."""
    if is_published(connection, "scorecard"):
        connection.execute("select * from marts.scorecard").fetchall()
    return {"value": 1.0}


def _uptime(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    found = _one(connection, ANSWERED, given | {"minutes": given["uptime_days"] * 1440})
    return None if found is None or found["up"] is None else {"value": found["up"], "size": found["minutes"]}


def _burn(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    """How many times faster than allowed the error budget is being spent."""
    found = _one(connection, ANSWERED, given | {"minutes": given["error_budget_burn_minutes"]})
    if found is None or found["up"] is None:
        return None
    return {"value": (1 - found["up"]) / (1 - given["uptime_target"]), "size": found["minutes"]}


def _slowest(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    return _one(connection, SLOWEST, given | {"operations": list(OPERATIONS)})


def _one(connection: psycopg.Connection, query: str, given: dict[str, Any]) -> Sample | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, given).fetchone()


UP = "engine_up"
# What a reader waits for, of which the service level speaks.
OPERATIONS = ("viral_coefficient_now_ms", "scorecard_ms")
# None: whoever knows stores the samples.
METRICS: dict[str, Query | None] = {
    UP: _up,
    "uptime": _uptime,
    "error_budget_burn": _burn,
    "viral_coefficient_now_ms": _milliseconds("viral_headline", "select * from ops.viral_coefficient_now()"),
    "scorecard_ms": _milliseconds("scorecard", "select * from marts.scorecard"),
    "operations_p99_ms": _slowest,
    "viral_coefficient": _of_mart("scorecard", HEADLINE, headline="viral_coefficient"),
    "campaign_conversion_rate": _of_mart("scorecard", HEADLINE, headline="campaign_conversion_rate"),
    "recent_campaign_conversion_rate": _of_mart("scorecard", HEADLINE, headline="recent_campaign_conversion_rate"),
    "attribution_accuracy": _of_mart("attribution_accuracy", ACCURACY),
    "marts_age_minutes": _of_ops(MARTS_AGE),
    "feed_age_hours": _of_ops(FEED_AGE),
    "failed_runs": _of_ops(FAILED_RUNS),
    "failed_checks": _of_ops(FAILED_CHECKS),
    "held_loads": _of_ops(HELD_LOADS),
    "undelivered_alerts": _of_ops(DEAD_MESSAGES),
    "dashboard_heartbeat_minutes": _of_mart("integration_health", INTEGRATION, of="dashboard"),
    "viral_sync_rate": _of_mart("integration_health", INTEGRATION, of="viral"),
    "success_trigger_accuracy": _of_mart("integration_health", INTEGRATION, of="success"),
    "offline_queue_depth": _of_mart("integration_health", INTEGRATION, of="offline"),
    "integration_silent_minutes": _of_mart("integration_health", SILENT),
    "critical_components": _of_mart("system_health", CRITICAL),
    "ai_success_rate": None,
}
# These rest with VIRAL_TRACKING_ENABLED=false.
VIRAL_METRICS = frozenset({"viral_coefficient"})
