"""Super-connectors as events: each user's becoming one is stored once, whatever is built again."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from .reads import is_published

EVENTS = "super_connector_events"


@dataclass(frozen=True)
class SuperConnector:
    """A user who became one. connected_at: when the join came that made them one."""

    user_id: str
    connected_at: datetime


@dataclass(frozen=True)
class Waiting:
    """Users whom marts show as super-connectors and of whom no event says so. build_id: of the marts; None without."""

    build_id: int | None
    users: int
    asked_at: datetime


def not_announced(connection: psycopg.Connection) -> Waiting:
    """What `announce` would store now; nobody before the first publication."""
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        if not is_published(connection, "super_connectors"):
            return cursor.execute("select null as build_id, 0 as users, clock_timestamp() as asked_at").fetchone()
        return cursor.execute(
            """
            select
                (select max(build_id) from ops.builds where status = 'published') as build_id,
                count(*) as users,
                clock_timestamp() as asked_at
            from marts.super_connectors
            where user_id not in (select user_id from ops.super_connector_events)
            """
        ).fetchone()


def announce(connection: psycopg.Connection) -> list[SuperConnector]:
    """Store an event for each super-connector who has none, in the order in which they became one; returns these."""
    with connection.cursor(row_factory=class_row(SuperConnector)) as cursor:
        return cursor.execute(
            """
            insert into ops.super_connector_events (user_id, connected_at, build_id)
            select connectors.user_id, connectors.connected_at, builds.build_id
            from marts.super_connectors as connectors
            cross join (select max(build_id) as build_id from ops.builds where status = 'published') as builds
            order by connectors.connected_at, connectors.user_id
            on conflict (user_id) do nothing
            returning user_id, connected_at
            """
        ).fetchall()
