"""Advisory locks: their keys in one place, and the lock that lets one build run at a time."""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import psycopg

from .errors import WarehouseError

# One namespace, so that a lock of another program in a shared database is never taken for ours.
NAMESPACE = 0x6D6B7467
MIGRATION = 1
BUILD = 2
VAULT = 3
ALERTS = 4
METRICS = 5
CONTENT = 6
CONTENT_EXPORT = 7
FIRST_FEED = 1000

POLL_SECONDS = 0.5
# profiles.yml names dbt's sessions so. A session that has just been closed is still seen for a moment.
DBT_APPLICATION_NAME = "dbt"
DBT_GRACE_SECONDS = 5.0


def feed_key(feed: str) -> int:
    """The lock that lets one load of a feed run at a time."""
    return FIRST_FEED + zlib.crc32(feed.encode()) % 1_000_000


def lock_in_transaction(connection: psycopg.Connection, key: int) -> None:
    """Wait for a lock that ends with the transaction."""
    connection.execute("select pg_advisory_xact_lock(%s, %s)", [NAMESPACE, key])


@contextmanager
def starting(connection: psycopg.Connection) -> Iterator[None]:
    """Let one start at a time prepare this database. connection: in autocommit."""
    connection.execute("select pg_advisory_lock(%s, %s)", [NAMESPACE, MIGRATION])
    try:
        yield
    finally:
        connection.execute("select pg_advisory_unlock(%s, %s)", [NAMESPACE, MIGRATION])


@contextmanager
def alone(connection: psycopg.Connection, key: int) -> Iterator[bool]:
    """Whether the lock could be had, at once; held until the end of the block. connection: in autocommit."""
    is_ours = connection.execute("select pg_try_advisory_lock(%s, %s)", [NAMESPACE, key]).fetchone()[0]
    try:
        yield is_ours
    finally:
        if is_ours and not connection.closed:
            connection.execute("select pg_advisory_unlock(%s, %s)", [NAMESPACE, key])


class BuildRunningError(WarehouseError):
    """Another build held the lock for as long as the caller was willing to wait."""


@dataclass(frozen=True)
class Holder:
    """Who holds the build lock: session's application_name and pid; since: start of the running build, when known."""

    application_name: str
    pid: int
    since: datetime | None

    def __str__(self) -> str:
        since = f", building since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"{self.application_name or 'a session without a name'} (server process {self.pid}{since})"


class BuildLock:
    """A session's hold on "one build at a time"; it ends with release(), the `with` block, or the session.

    connection: a session of its own, in autocommit, open for as long as the build runs.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        if not connection.autocommit:
            raise ValueError("the build lock needs a connection in autocommit: a transaction would stay open")
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.release()

    def take(self, *, wait_seconds: float, on_wait: Callable[[Holder], None] = lambda holder: None) -> Self:
        """Take the lock, waiting up to wait_seconds; on_wait is called once for each holder waited for.

        A plain dbt takes no lock but writes the same tables: it is waited for like a build.
        Raises BuildRunningError naming the holder.
        """
        deadline = time.monotonic() + wait_seconds
        told: int | None = None
        while not self._try():
            holder = self.holder()
            if holder is not None and holder.pid != told:
                told = holder.pid
                on_wait(holder)
            if time.monotonic() >= deadline:
                raise BuildRunningError(
                    f"another build is running: {holder or 'it has just ended'}. Waited {wait_seconds:g} s"
                )
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        self._wait_for_dbt(max(deadline, time.monotonic() + DBT_GRACE_SECONDS))
        return self

    def _wait_for_dbt(self, deadline: float) -> None:
        while (
            running := self._connection.execute(
                "select min(backend_start) from pg_stat_activity where datname = current_database() "
                "and application_name = %s",
                [DBT_APPLICATION_NAME],
            ).fetchone()[0]
        ) is not None:
            if time.monotonic() >= deadline:
                self.release()
                raise BuildRunningError(f"a plain dbt is at work in this warehouse since {running:%H:%M:%S} UTC")
            time.sleep(POLL_SECONDS)

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held or the session has ended."""
        if not self._connection.closed:
            self._connection.execute("select pg_advisory_unlock(%s, %s)", [NAMESPACE, BUILD])

    def holder(self) -> Holder | None:
        """The session that holds the lock now, or None."""
        row = self._connection.execute(
            """
            select
                coalesce(pg_stat_activity.application_name, ''),
                pg_locks.pid,
                (
                    select max(builds.started_at)
                    from ops.builds
                    where builds.status = 'running' and builds.started_at >= pg_stat_activity.backend_start
                )
            from pg_locks
            left join pg_stat_activity on pg_stat_activity.pid = pg_locks.pid
            where
                pg_locks.locktype = 'advisory'
                and pg_locks.database = (select oid from pg_database where datname = current_database())
                and pg_locks.classid = %s
                and pg_locks.objid = %s
                and pg_locks.objsubid = 2
                and pg_locks.granted
            """,
            [NAMESPACE, BUILD],
        ).fetchone()
        return None if row is None else Holder(*row)

    def _try(self) -> bool:
        row = self._connection.execute("select pg_try_advisory_lock(%s, %s)", [NAMESPACE, BUILD]).fetchone()
        return row is not None and row[0]
