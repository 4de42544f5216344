"""What the spread of users is fitted from, as the models of a build left it, and the tables that its fits fill."""

import io
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import psycopg
import pyarrow as pa
from psycopg.rows import class_row
from pyarrow import csv


@dataclass(frozen=True)
class Interval:
    """A row of fit_viral_intervals. grain: day, day_by_user_type, week or headline."""

    grain: str
    cohort_on: date | None
    user_type: str | None
    k_low: float
    k_high: float


@dataclass(frozen=True)
class BacktestRow:
    """A row of fit_viral_backtest."""

    replayed_on: date
    scope: str
    cohort_users: int
    net_joins: int
    k_observed: float
    maturity: float
    k_said: float
    low: float | None
    high: float | None
    k_turned_out: float | None


@dataclass(frozen=True)
class SpreadMeasure:
    """A row of fit_viral_spread. measured: users, or joins, behind it."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    measured: int


@dataclass(frozen=True)
class LeverRow:
    """A row of fit_viral_levers."""

    segment_kind: str
    segment: str
    lever: str
    elasticity: float | None
    low: float | None
    high: float | None
    k_share: float | None
    k: float | None
    k_after: float | None


@dataclass(frozen=True)
class ForecastRow:
    """A row of fit_viral_forecasts. came_joins: None while the days are not over."""

    forecast_on: date
    horizon_days: int
    expected_joins: float
    expected_referred_joins: float
    low: float
    high: float
    k: float
    came_joins: int | None


TABLES: dict[type, str] = {
    Interval: "fit_viral_intervals",
    BacktestRow: "fit_viral_backtest",
    SpreadMeasure: "fit_viral_spread",
    LeverRow: "fit_viral_levers",
    ForecastRow: "fit_viral_forecasts",
}


@dataclass(frozen=True)
class Present:
    """The build that is fitted for, and the trailing window of its headline. k: None while it cannot be told."""

    build_id: int
    as_of: datetime
    period_start_on: date
    period_end_on: date
    cohort_users: int
    k: Decimal | None


def present(connection: psycopg.Connection) -> Present:
    """Of the latest build."""
    with connection.cursor(row_factory=class_row(Present)) as cursor:
        return cursor.execute(
            """
            select build.build_id, build.as_of, headline.period_start_on, headline.period_end_on,
                headline.users as cohort_users, headline.k_adjusted as k
            from staging.stg_build as build
            cross join intermediate.int_viral_headline as headline
            """
        ).fetchone()


def cohorts(connection: psycopg.Connection) -> list[tuple[date, str, int, int, int, float | None]]:
    """(day of joining, user_type, tree group, users, net joins, part of a user's joins that shows by now), in order."""
    return connection.execute(
        """
        select cohorts.cohort_on, cohorts.user_type, cohorts.tree_group, cohorts.users, cohorts.net_joins,
            (exposed.exposure / exposed.users)::double precision
        from intermediate.int_cohorts as cohorts
        inner join intermediate.int_cohorts_exposed as exposed
            on cohorts.cohort_on = exposed.cohort_on and cohorts.user_type = exposed.user_type
        order by cohorts.cohort_on, cohorts.user_type collate "C", cohorts.tree_group
        """
    ).fetchall()


def users(connection: psycopg.Connection, since: date) -> pa.Table:
    """joined_us (microseconds since 1970 UTC), tree_group of everybody who joined from that day on."""
    return _table(
        connection,
        """
        select (extract(epoch from joined_at) * 1000000)::bigint as joined_us, tree_group
        from intermediate.int_referrals
        where cohort_on >= %s
        """,
        since,
    )


def joins(connection: psycopg.Connection, since: date) -> pa.Table:
    """inviter_joined_us (microseconds since 1970 UTC), lag_us, tree_group, is_net (1 or 0) of the joins credited to
    inviters who joined from that day on and before their invitees."""
    return _table(
        connection,
        """
        select
            (extract(epoch from joins.inviter_joined_at) * 1000000)::bigint as inviter_joined_us,
            (extract(epoch from joins.joined_at - joins.inviter_joined_at) * 1000000)::bigint as lag_us,
            users.tree_group,
            joins.is_net::integer as is_net
        from candidate.fct_referrals as joins
        inner join intermediate.int_referrals as users on joins.user_id = users.user_id
        where
            joins.rejected_reason is null
            and joins.joined_at >= joins.inviter_joined_at
            and joins.inviter_joined_at >= %s::timestamp at time zone 'UTC'
        """,
        since,
    )


def days(connection: psycopg.Connection) -> list[tuple[date, int, int]]:
    """(day, users who joined, of these net joins within the horizon of their inviter's), in order."""
    return connection.execute("select * from intermediate.int_joins_by_day order by date").fetchall()


def offspring(connection: psycopg.Connection) -> list[tuple[int, bool, int, int]]:
    """(net joins of one user within the horizon, is a seed, tree group, users of full age)."""
    return connection.execute(
        "select net_joins, is_seed, tree_group, users from intermediate.int_offspring_counts order by 1, 2, 3"
    ).fetchall()


def lever_counts(connection: psycopg.Connection) -> list[tuple[str, str, int, int, int, int, int, int, int]]:
    """(kind of segment, segment, tree group, invites of one user in it, users, opened invites, joins by opened invites,
    joins by unopened ones, joins near the horizon)."""
    return connection.execute(
        """
        select segment_kind, segment, tree_group, sent_by_user::integer, users, opened_invites, joins_opened,
            joins_unopened, joins_near_horizon
        from intermediate.int_lever_counts
        order by segment_kind, segment collate "C", tree_group, sent_by_user
        """
    ).fetchall()


def _table(connection: psycopg.Connection, query: str, since: date) -> pa.Table:
    """All integers: as text through COPY and Arrow, as a cursor takes five times as long."""
    found = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout (format csv, header)", [since]) as copy:
        for part in copy:
            found.write(part)
    found.seek(0)
    columns = csv.open_csv(io.BytesIO(found.getvalue())) if found.getbuffer().nbytes else None
    return columns.read_all() if columns else pa.table({})
