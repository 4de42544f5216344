"""What is measured for alerts and service levels: the numbers as published, and how the engine is doing.

Each sample is of its moment: a published number says again what the marts say now; how old that is, is a metric itself.
"""

import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import cache
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
OF_ACCURACY = """
from marts.attribution_accuracy
where
    is_latest and attribution_model = 'data_driven' and truth_method = 'survey'
    and calibration_id = ops.calibration_in_force()
"""
ACCURACY = f"""
select
    case when status <> 'no_data' then accuracy::float8 end as value,
    accuracy_low::float8 as low, accuracy_high::float8 as high, conversions as size
{OF_ACCURACY}
"""
# The mart's word: below the floor, and below what chance allows.
DRIFT = f"""
select
    case status when 'drift' then 1.0 when 'ok' then 0.0 end::float8 as value,
    conversions as size,
    'accuracy ' || round(accuracy, 3)::text || ', of a perfect model by chance ' || round(drift_line, 3)::text as label
{OF_ACCURACY}
"""
INTEGRATION = """
select value::float8 as value, expected as size from marts.integration_health where integration = %(of)s
"""
# All that are silent for too long, while any is; else the one that is silent longest.
SILENT = """
with integrations as (
    select
        heartbeat_age_minutes,
        integration || ', last heard of at ' || to_char(heartbeat_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as told,
        heartbeat_age_minutes > %(integration_heartbeat_max_minutes)s as is_late,
        heartbeat_age_minutes = max(heartbeat_age_minutes) over () as is_latest
    from marts.integration_health
    where integration <> 'dashboard'
)
select
    max(heartbeat_age_minutes)::float8 as value,
    coalesce(
        string_agg(told, '; ' order by told) filter (where is_late),
        string_agg(told, '; ' order by told) filter (where is_latest)
    ) as label
from integrations
"""
# Without those of which a rule of their own tells: conversion_rate_drop, ai_generation_failure, and attribution_drift,
# which is a warning.
CRITICAL = """
select
    count(*) filter (where status = 'critical')::float8 as value, count(*) as size,
    string_agg(component, ', ' order by component) filter (where status = 'critical') as label
from marts.system_health
where component not in ('campaign_conversion', 'ai_content', 'attribution')
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
# How long ago each feed last came, over what is allowed: raw_max_age_hours, or half again as long as nine in ten of its
# pauses of late, since some come once a week. Files of one delivery are none apart: those of the same few hours. Of a
# feed that came once nobody knows when it should come again. A held load has come, but nobody sees it.
FEEDS = """
with deliveries as (
    select
        feed,
        min(finished_at) as began_at,
        max(finished_at) as ended_at,
        min(finished_at) - lag(max(finished_at)) over (partition by feed order by min(finished_at)) as pause,
        row_number() over (partition by feed order by min(finished_at) desc) as age
    from raw.loads
    where status in ('loaded', 'accepted') and finished_at <= %(now)s
    group by feed, date_bin(make_interval(hours => %(feed_delivery_hours)s), finished_at, 'epoch')
),
feeds as (
    select
        feed,
        extract(epoch from %(now)s - max(ended_at))::float8 / 3600 as hours,
        greatest(
            %(raw_max_age_hours)s,
            1.5 * extract(
                epoch from percentile_disc(0.9) within group (order by pause) filter (where age <= %(history_loads)s)
            )::float8 / 3600
        ) as allowed
    from deliveries
    group by feed
    having max(ended_at) - min(began_at) > make_interval(hours => %(feed_delivery_hours)s)
)
select
    feed,
    hours / allowed as value,
    feed || ': ' || round(hours)::text || ' hours ago, allowed are ' || round(allowed)::text as label
from feeds
"""
# By when they were recorded: while nobody does, they fail as well.
FAILED_RUNS = """
select
    count(*)::float8 as value, (array_agg(run_id order by failed_at desc))[1] as run_id,
    string_agg(distinct job_name, ', ') as label
from ops.run_failures
where recorded_at > %(now)s - make_interval(mins => %(failed_runs_minutes)s) and recorded_at <= %(now)s
"""
# Checks, or models, by which the latest build came to nothing that came so far: one that crashed says nothing of them.
FAILED_CHECKS = """
select
    case when builds.status = 'failed' then jsonb_array_length(builds.figures -> 'failed') else 0 end as value,
    builds.run_id,
    case
        when builds.status = 'failed'
            then (
                select string_agg(failed, ', ' order by failed)
                from jsonb_array_elements_text(builds.figures -> 'failed') as failed
            )
    end as label
from ops.builds
where
    builds.status = 'published'
    or (builds.status = 'failed' and jsonb_array_length(coalesce(builds.figures -> 'failed', '[]')) > 0)
order by builds.build_id desc
limit 1
"""
HELD_LOADS = """
select count(*)::float8 as value, string_agg(distinct feed, ', ') as label from raw.loads where status = 'held'
"""
DEAD_MESSAGES = """
select count(*)::float8 as value
from ops.alert_outbox
-- A dead message's due_at is when it died.
where status = 'dead' and due_at > %(now)s - make_interval(hours => %(metric_max_age_hours)s)
"""
# Minutes, of all that have passed whole, in which the warehouse answered: one without a sample counts as down.
ANSWERED = """
select
    count(*) filter (where minutes.avg = 1) as up,
    span.minutes,
    coalesce(
        bool_or(minutes.avg = 1 and minutes.bucket_at = date_trunc('minute', %(now)s) - interval '1 minute'), false
    ) as is_up
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
where span.minutes > 0
group by span.at, span.minutes
"""
# Jobs of the breaker's window, as it counts them: those before it closed say nothing any more. Whether they are enough
# is their maturity. A try that closed it is enough, since the failures before it kept other jobs from the model; for a
# day, unless what came since is worse.
AI_SUCCESS = """
with latest as (
    select state, since, lag(since) over (order by change_id) as try_began_at
    from ops.content_breaker
    where since <= %(now)s
    order by change_id desc
    limit 1
),
closed as (
    select
        max(since) as closed_at,
        max(try_began_at) filter (
            where since > %(now)s - make_interval(hours => %(metric_max_age_hours)s)
        ) as try_began_at
    from latest
    where state = 'closed'
),
counted as (
    select
        count(*) filter (where jobs.is_recent) as recent,
        count(*) filter (where jobs.is_recent and jobs.is_fit) as recent_fit,
        count(*) filter (where jobs.is_since_try) as since_try,
        count(*) filter (where jobs.is_since_try and jobs.is_fit) as since_try_fit
    from (
        select
            outcomes.is_fit,
            outcomes.finished_at > greatest(span.since_at, closed.closed_at) as is_recent,
            outcomes.finished_at > closed.try_began_at as is_since_try
        from closed
        cross join (
            select %(now)s - make_interval(mins => %(content_breaker_window_minutes)s) as since_at
        ) as span
        inner join ops.content_outcomes as outcomes
            on
                outcomes.finished_at > least(span.since_at, closed.try_began_at)
                and outcomes.finished_at <= %(now)s
    ) as jobs
),
judged as (
    select
        recent < %(content_breaker_min_jobs)s and since_try > 0 as is_by_try,
        least(recent::float8 / %(content_breaker_min_jobs)s, 1) as maturity,
        recent_fit::float8 / nullif(recent, 0) as recent_share,
        since_try_fit::float8 / nullif(since_try, 0) as since_try_share,
        recent,
        since_try
    from counted
)
select
    case when is_by_try then since_try_share else recent_share end as value,
    case when is_by_try then since_try else recent end as size,
    case when is_by_try and since_try_share >= %(ai_success_floor)s then 1 else maturity end as maturity,
    case when is_by_try then 'since the try that closed the breaker' end as label
from judged
"""
SLOWEST = """
with operations as (
    select metric, percentile_disc(0.99) within group (order by value) as p99, count(*) as size
    from ops.metric_samples
    where
        metric = any(%(operations)s)
        and sampled_at > %(now)s - make_interval(hours => %(metric_max_age_hours)s)
        and sampled_at <= %(now)s
    group by metric
    having count(value) > 0
)
select
    p99 as value,
    size,
    coalesce(
        (
            select string_agg(slow.metric, ', ' order by slow.metric)
            from operations as slow
            where slow.p99 > %(performance_threshold_ms)s
        ),
        metric
    ) as label
from operations
order by p99 desc
limit 1
"""


def measure(connection: psycopg.Connection, now: datetime, metric: str, policy: Policy) -> Sample | None:
    """One sample of a metric of METRICS, or None where there is nothing to measure yet, or where it is not for us to.

    connection: in autocommit. What cannot be measured is a sample too: its error says what kind.
    """
    return next(iter(measure_all(connection, now, [metric], policy)), None)


def measure_all(connection: psycopg.Connection, now: datetime, metrics: Iterable[str], policy: Policy) -> list[Sample]:
    """The samples of these metrics of which there is one, as `measure` takes them."""
    given = policy.model_dump() | {"now": now}
    # Read when the first metric asks, for all of them.
    given["feeds"] = cache(lambda: _feeds(connection, given))
    samples = (_measured(connection, given, metric) for metric in metrics)
    return [sample for sample in samples if sample is not None]


def _measured(connection: psycopg.Connection, given: dict[str, Any], metric: str) -> Sample | None:
    source = METRICS[metric]
    if source is None:
        return None
    try:
        late = _lateness(given, SOURCES.get(metric, ()))
        if late is not None and late["value"] > 1:
            sample = {"label": f"computed from a feed that is late: {late['label']}"}
        else:
            sample = source(connection, given)
    except psycopg.errors.QueryCanceled:
        # The slowest are not to be left out of what is told of slowness.
        sample = {"value": float(SAMPLE_LIMIT_MS)} if metric in OPERATIONS else {"error": "took too long"}
    except psycopg.Error as error:
        # Not its text, which alerts would carry to wherever they go: it may quote what somebody wrote.
        sample = {"error": f"{type(error).__name__} ({error.sqlstate or 'no connection'})"}
    if metric == UP and sample is not None and "value" not in sample:
        sample = {"value": 0.0, "label": sample["error"]}
    if sample is not None and not all(isfinite(sample.get(name) or 0) for name in ("value", "low", "high")):
        sample = {"error": "not a finite number"}
    return None if sample is None else sample | {"metric": metric, "sampled_at": given["now"]}


def _feeds(connection: psycopg.Connection, given: dict[str, Any]) -> dict[str, Sample]:
    """Feed -> how late it is, over what is allowed, and that in words; those of which nobody knows left out."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row.pop("feed"): row for row in cursor.execute(FEEDS, given)}


def _lateness(given: dict[str, Any], feeds: Collection[str]) -> Sample | None:
    """How late the latest of these feeds is; its label names all that are late. None for none of them."""
    known = {feed: sample for feed, sample in given["feeds"]().items() if feed in feeds} if feeds else {}
    if not known:
        return None
    latest = max(known.values(), key=lambda sample: sample["value"])
    late = "; ".join(sample["label"] for _feed, sample in sorted(known.items()) if sample["value"] > 1)
    return latest | {"label": late or latest["label"]}


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


def _latest_feed(_connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    return _lateness(given, given["feeds"]())


def _up(connection: psycopg.Connection, _given: dict[str, Any]) -> Sample:
    """1 when readers get their answer; that the warehouse answers at all is shown by the sample being there."""
    if is_published(connection, "scorecard"):
        connection.execute("select * from marts.scorecard").fetchall()
    return {"value": 1.0}


def _answered(connection: psycopg.Connection, given: dict[str, Any], minutes: int) -> dict[str, Any] | None:
    """up, of so many minutes before now, those that are known of (minutes); is_up: the last one was. None: of none."""
    return _one(connection, ANSWERED, given | {"minutes": minutes})


def _uptime(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    found = _answered(connection, given, given["uptime_days"] * 1440)
    return None if found is None else {"value": found["up"] / found["minutes"], "size": found["minutes"]}


def _burn(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    """How many times faster than allowed the error budget is being spent: over both windows.

    While the engine is down nothing is said of it: that it is down is another metric.
    """
    long = _answered(connection, given, given["error_budget_burn_minutes"])
    short = _answered(connection, given, given["error_budget_burn_short_minutes"])
    if long is None or short is None:
        return None
    if not short["is_up"]:
        return {"label": "down in the last minute"}
    share_down = min(1 - found["up"] / found["minutes"] for found in (long, short))
    return {"value": share_down / (1 - given["uptime_target"]), "size": long["minutes"]}


def _spent(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    """Minutes down, over what the whole period allows, however little of it has passed."""
    found = _answered(connection, given, given["uptime_days"] * 1440)
    if found is None:
        return None
    down = found["minutes"] - found["up"]
    # Of 1 - 0.9 nothing is to be left over.
    allowed = round((1 - given["uptime_target"]) * given["uptime_days"] * 1440, 6)
    label = f"{down:,} minutes down, {allowed:,g} allowed in {given['uptime_days']} days"
    return {"value": down / allowed, "size": found["minutes"], "label": label}


def _slowest(connection: psycopg.Connection, given: dict[str, Any]) -> Sample | None:
    return _one(connection, SLOWEST, given | {"operations": list(OPERATIONS)})


def _one(connection: psycopg.Connection, query: str, given: dict[str, Any]) -> Sample | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, given).fetchone()


UP = "engine_up"
# One slow figure must not cost the minute's others.
SAMPLE_LIMIT_MS = 5000
CAMPAIGN_FEEDS = ("campaign_events", "conversions", "users")
VIRAL_FEEDS = ("users", "viral_actions")
ATTRIBUTION_FEEDS = ("touchpoints", "conversions", "attribution_truth")
# What a number is computed from: nothing is said of it while one of these is late.
SOURCES = {
    "viral_coefficient": VIRAL_FEEDS,
    "campaign_conversion_rate": CAMPAIGN_FEEDS,
    "recent_campaign_conversion_rate": CAMPAIGN_FEEDS,
    "attribution_accuracy": ATTRIBUTION_FEEDS,
    "attribution_drift": ATTRIBUTION_FEEDS,
    **dict.fromkeys(
        (
            "dashboard_heartbeat_minutes",
            "viral_sync_rate",
            "success_trigger_accuracy",
            "offline_queue_depth",
            "integration_silent_minutes",
        ),
        ("integration_events",),
    ),
}
# What a reader waits for, of which the service level speaks.
OPERATIONS = ("viral_coefficient_now_ms", "scorecard_ms")
# None: whoever knows stores the samples.
METRICS: dict[str, Query | None] = {
    UP: _up,
    "uptime": _uptime,
    "error_budget_burn": _burn,
    "error_budget_spent": _spent,
    "viral_coefficient_now_ms": _milliseconds("viral_headline", "select * from ops.viral_coefficient_now()"),
    "scorecard_ms": _milliseconds("scorecard", "select * from marts.scorecard"),
    "operations_p99_ms": _slowest,
    "viral_coefficient": _of_mart("scorecard", HEADLINE, headline="viral_coefficient"),
    "campaign_conversion_rate": _of_mart("scorecard", HEADLINE, headline="campaign_conversion_rate"),
    "recent_campaign_conversion_rate": _of_mart("scorecard", HEADLINE, headline="recent_campaign_conversion_rate"),
    "attribution_accuracy": _of_mart("attribution_accuracy", ACCURACY),
    "attribution_drift": _of_mart("attribution_accuracy", DRIFT),
    "marts_age_minutes": _of_ops(MARTS_AGE),
    "feed_lateness": _latest_feed,
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
    "ai_success_rate": _of_ops(AI_SUCCESS),
    **dict.fromkeys(("ai_queue_seconds", "ai_job_ms", "ai_model_ms", "ai_overhead_ms")),
}
# These rest with VIRAL_TRACKING_ENABLED=false.
VIRAL_METRICS = frozenset({"viral_coefficient"})
