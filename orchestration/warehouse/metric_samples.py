"""Samples of metrics, and what they come to by minute, five minutes, hour and day: written together."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from .locks import METRICS, lock_in_transaction

Sample = dict[str, Any]

RESOLUTIONS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
# Of these nobody asks what they were a quarter ago; they are deleted with the samples.
FINE = ("1m", "5m")

ADD = """
insert into ops.metric_samples (metric, sampled_at, value, low, high, size, maturity, error, run_id, label)
select metric, sampled_at, value, low, high, size, maturity, error, run_id, label
from jsonb_to_recordset(%s) as given (
    metric text, sampled_at timestamptz, value float8, low float8, high float8, size bigint, maturity float8,
    error text, run_id text, label text
)
on conflict (metric, sampled_at) do nothing
returning metric, sampled_at
"""
# Each bucket that got a sample, anew from its samples. One whose samples are partly deleted keeps what it had.
ROLL_UP = """
with

resolutions as (

    select resolution, width
    from unnest(%(resolutions)s::text[], %(widths)s::interval[]) as given (resolution, width)

),

touched as (

    select distinct
        added.metric,
        resolutions.resolution,
        resolutions.width,
        date_bin(resolutions.width, added.sampled_at, 'epoch') as bucket_at
    from unnest(%(metrics)s::text[], %(times)s::timestamptz[]) as added (metric, sampled_at)
    cross join resolutions

)

insert into ops.metric_rollups (metric, resolution, bucket_at, samples, without_value, avg, max, p95, p99)
select
    touched.metric,
    touched.resolution,
    touched.bucket_at,
    count(samples.value),
    count(*) - count(samples.value),
    avg(samples.value),
    max(samples.value),
    percentile_disc(0.95) within group (order by samples.value),
    percentile_disc(0.99) within group (order by samples.value)
from touched
inner join ops.metric_samples as samples
    on
        samples.metric = touched.metric
        and samples.sampled_at >= touched.bucket_at
        and samples.sampled_at < touched.bucket_at + touched.width
group by touched.metric, touched.resolution, touched.bucket_at
on conflict (metric, resolution, bucket_at) do update set
    samples = excluded.samples,
    without_value = excluded.without_value,
    avg = excluded.avg,
    max = excluded.max,
    p95 = excluded.p95,
    p99 = excluded.p99
where excluded.samples + excluded.without_value >= metric_rollups.samples + metric_rollups.without_value
"""


def add_samples(connection: psycopg.Connection, samples: Sequence[Sample]) -> int:
    """Store samples (metric, sampled_at, and what there is of value, low, high, size, maturity, error, run_id, label)
    and their rollups, in one transaction; returns how many are new. A second one of a metric and time is the first's.
    """
    given = [sample | {"sampled_at": sample["sampled_at"].isoformat()} for sample in samples]
    with connection.transaction():
        # Of two that add to one bucket, each would count without the other's.
        lock_in_transaction(connection, METRICS)
        added = connection.execute(ADD, [Jsonb(given)]).fetchall()
        connection.execute(
            ROLL_UP,
            {
                "resolutions": list(RESOLUTIONS),
                "widths": list(RESOLUTIONS.values()),
                "metrics": [metric for metric, _at in added],
                "times": [at for _metric, at in added],
            },
        )
    return len(added)


def samples(connection: psycopg.Connection, metric: str, since: datetime, until: datetime) -> list[Sample]:
    """at, value, low, high, size, maturity, error, run_id, label of a metric's samples, in order of time: those since
    then, and the last one before, since what was known then holds until the next."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select sampled_at as at, value, low, high, size, maturity, error, run_id, label
            from ops.metric_samples
            where
                metric = %(metric)s
                and sampled_at <= %(until)s
                and sampled_at >= coalesce(
                    (
                        select max(earlier.sampled_at)
                        from ops.metric_samples as earlier
                        where earlier.metric = %(metric)s and earlier.sampled_at < %(since)s
                    ),
                    %(since)s
                )
            order by sampled_at
            """,
            {"metric": metric, "since": since, "until": until},
        ).fetchall()


def newest_sample(connection: psycopg.Connection, now: datetime) -> datetime | None:
    """When the newest sample was taken of the metric that always can be: engine_up. What a clock that was ahead has
    left, and is still to come, vouches for nothing."""
    return connection.execute(
        "select max(sampled_at) from ops.metric_samples where metric = 'engine_up' and sampled_at <= %s", [now]
    ).fetchone()[0]


def delete_samples(connection: psycopg.Connection, before: datetime) -> int:
    """Forget the samples of whole days (UTC) before then, with their rollups by minute; returns how many samples."""
    day = before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with connection.transaction():
        lock_in_transaction(connection, METRICS)
        connection.execute(
            "delete from ops.metric_rollups where resolution = any(%s) and bucket_at < %s", [list(FINE), day]
        )
        return connection.execute("delete from ops.metric_samples where sampled_at < %s", [day]).rowcount
