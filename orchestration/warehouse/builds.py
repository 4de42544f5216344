"""The ledger of builds: opened with a claim on loads, ended with a word on how."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from . import quarantine

# dbt sessions of a build carry it in this setting, by which ops.join_build knows them.
BUILD_SETTING = "marketing.build_id"


@dataclass(frozen=True)
class Build:
    """A row of ops.builds. full_reason: why everything is rebuilt; None for an incremental build.

    calibration_id: in force; recredits: an incremental build that credits every conversion anew, since another one was
    in force in its base. new_loads: loads that no published build has seen; new_records: the rows they brought.
    """

    build_id: int
    as_of: datetime
    base_build_id: int | None
    full_reason: str | None
    calibration_id: int
    recredits: bool
    started_at: datetime
    new_loads: int
    new_records: int

    @property
    def is_full(self) -> bool:
        """Whether every model is computed anew."""
        return self.full_reason is not None


def open_build(
    connection: psycopg.Connection,
    *,
    as_of: datetime | None,
    policy_sha256: str,
    code_sha256: str,
    requested_by: str,
    run_id: str | None,
    full_reason: str | None,
) -> Build:
    """Open a build and claim every load that waits for one. The caller holds the build lock.

    as_of: None for the warehouse's clock. full_reason: set to rebuild everything although nothing asks for it.
    """
    with connection.transaction():
        build_id = connection.execute(
            "select ops.open_build(coalesce(%s, clock_timestamp()), %s, %s, %s, %s, 'running', %s)",
            [as_of, policy_sha256, code_sha256, requested_by, run_id, full_reason],
        ).fetchone()[0]
        row = connection.execute(
            """
            select
                builds.as_of,
                builds.base_build_id,
                builds.full_reason,
                builds.calibration_id,
                (select recredits from ops.current_build),
                builds.started_at,
                count(loads.load_id),
                coalesce(sum(loads.inserted), 0)::bigint
            from ops.builds
            left join raw.loads
                on loads.claimed_build_id = builds.build_id and loads.published_build_id is null
            where builds.build_id = %s
            group by builds.build_id
            """,
            [build_id],
        ).fetchone()
    return Build(build_id, *row)


def refresh_statistics(connection: psycopg.Connection) -> list[str]:
    """Analyze the raw tables that grew a good deal since they last were; returns their names.

    Autovacuum comes a minute later: of a table just filled the planner knows nothing, and a join over it that takes
    a second may take an hour.
    """
    grown = connection.execute(
        """
        select tables.relname
        from pg_stat_user_tables as tables
        inner join pg_class on pg_class.oid = tables.relid
        where
            tables.schemaname = 'raw'
            and (pg_class.reltuples < 0 or tables.n_mod_since_analyze > 1000 + 0.1 * pg_class.reltuples)
        order by tables.relname
        """
    ).fetchall()
    for (table,) in grown:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier("raw", table)))
    return [table for (table,) in grown]


def fail_build(connection: psycopg.Connection, build_id: int, reason: str, failed: Sequence[str] = ()) -> None:
    """Record that a running build failed, and why. failed: names of the checks or models that did.

    A build that has ended keeps its end.
    """
    connection.execute(
        """
        update ops.builds
        set status = 'failed', reason = %s, figures = %s, finished_at = clock_timestamp()
        where build_id = %s and status = 'running'
        """,
        [reason, Jsonb({"failed": sorted(failed)}), build_id],
    )


def failed_alike(connection: psycopg.Connection, build_id: int, failed: Sequence[str]) -> list[int]:
    """Builds in an unbroken row right before this one in which the same failed; the newest first."""
    rows = connection.execute(
        """
        select build_id, status = 'failed' and figures -> 'failed' = %s
        from ops.builds
        where build_id < %s
        order by build_id desc
        """,
        [Jsonb(sorted(failed)), build_id],
    )
    return [earlier for earlier, _ in itertools.takewhile(lambda row: row[1], rows)]


def claimed_loads(connection: psycopg.Connection, build_id: int, *, before_build: int | None = None) -> list[int]:
    """Ids of the loads that this build shows and no published one has shown.

    before_build: only those that were there when that earlier build was opened.
    """
    rows = connection.execute(
        """
        select load_id
        from raw.loads
        where
            claimed_build_id = %(build)s
            and published_build_id is null
            and status in ('loaded', 'accepted')
            and (
                %(before)s::bigint is null
                or finished_at < (select started_at from ops.builds where build_id = %(before)s)
            )
        order by load_id
        """,
        {"build": build_id, "before": before_build},
    ).fetchall()
    return [load_id for (load_id,) in rows]


def mark_published(connection: psycopg.Connection, build_id: int, figures: dict) -> None:
    """Within the transaction of a publication: end the build and its loads' wait.

    Raises RuntimeError, which rolls the publication back, when the build has been ended by someone else.
    """
    ended = connection.execute(
        """
        update ops.builds
        set status = 'published', figures = %s, finished_at = clock_timestamp()
        where build_id = %s and status = 'running'
        """,
        [Jsonb(figures), build_id],
    )
    if ended.rowcount != 1:
        raise RuntimeError(
            f"build {build_id} is not running any more: another start took it for dead; nothing was published"
        )
    connection.execute("delete from ops.candidate_state")
    connection.execute("insert into ops.candidate_state (build_id) values (%s)", [build_id])
    connection.execute(
        """
        update raw.loads
        set published_build_id = claimed_build_id
        where claimed_build_id = %s and published_build_id is null and status in ('loaded', 'accepted')
        """,
        [build_id],
    )
    connection.execute(
        """
        delete from raw.shadowed
        using raw.loads
        where loads.load_id = shadowed.owner_load_id and loads.published_build_id is not null
        """
    )
    quarantine.empty_published(connection, build_id)


def published_rows(connection: psycopg.Connection) -> dict[str, int]:
    """Rows of each mart as the latest publication left them."""
    rows = connection.execute(
        """
        select mart, (figure ->> 'rows')::bigint
        from (select figures from ops.builds where status = 'published' order by build_id desc limit 1) as latest
        cross join lateral jsonb_each(figures) as figures (mart, figure)
        """
    )
    return dict(rows.fetchall())


def frozen_before(connection: psycopg.Connection) -> date | None:
    """Marts older than this day are kept and never rebuilt; None while nothing is frozen."""
    row = connection.execute(
        "select frozen_before from ops.builds where status = 'published' order by build_id desc limit 1"
    ).fetchone()
    return None if row is None else row[0]


def is_standing(connection: psycopg.Connection) -> bool:
    """Whether the tables of intermediate and candidate are in the state of the latest build, which was published."""
    return connection.execute(
        """
        select exists (
            select
            from ops.candidate_state as state
            inner join ops.builds on builds.build_id = state.build_id
            where
                builds.status = 'published'
                and builds.build_id = (select max(latest.build_id) from ops.builds as latest)
        )
        """
    ).fetchone()[0]
