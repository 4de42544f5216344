"""The ledger of loads: opened and closed by ingest, held, accepted and withdrawn by people and audits.

A row belongs to the load that first sent it. While that load is not published, what other loads said of the same
key is shadowed; when it is held or withdrawn, a shadow of a good load takes the row over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from . import locks, quarantine
from .bulk import RawTable, Tally
from .errors import WarehouseError


@dataclass(frozen=True)
class Load:
    """A row of raw.loads. earliest_at, latest_at: span of its records' own times."""

    load_id: int
    feed: str
    source: str
    checksum: str | None
    records_read: int
    inserted: int
    duplicate: int
    conflicting: int
    quarantined: int
    earliest_at: datetime | None
    latest_at: datetime | None
    status: str
    reason: str | None
    claimed_build_id: int | None
    published_build_id: int | None
    started_at: datetime
    finished_at: datetime


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, Load.__dataclass_fields__))


def loads(connection: psycopg.Connection, *, status: str | None = None, limit: int | None = None) -> list[Load]:
    """Loads, newest first. status: loaded, held, accepted or withdrawn; None for all."""
    query = sql.SQL(
        """
        select {} from raw.loads
        where %(status)s::text is null or status = %(status)s
        order by load_id desc limit %(limit)s
        """
    ).format(_COLUMNS)
    with connection.cursor(row_factory=class_row(Load)) as cursor:
        return cursor.execute(query, {"status": status, "limit": limit}).fetchall()


def find_load(connection: psycopg.Connection, feed: str, checksum: str) -> Load | None:
    """The load of this content, unless it was withdrawn."""
    query = sql.SQL("select {} from raw.loads where feed = %s and checksum = %s and status <> 'withdrawn'")
    with connection.cursor(row_factory=class_row(Load)) as cursor:
        return cursor.execute(query.format(_COLUMNS), [feed, checksum]).fetchone()


def lock_feed(connection: psycopg.Connection, feed: str) -> None:
    """Let no other load of this feed run until this transaction ends.

    Two loads at once could each wait for a key that the other has written: a deadlock.
    """
    locks.lock_in_transaction(connection, locks.feed_key(feed))


def is_loading(connection: psycopg.Connection) -> bool:
    """Whether a load of any feed is under way: asked of the locks, which no killed loader leaves behind."""
    return connection.execute(
        """
        select exists (
            select from pg_locks
            where
                locktype = 'advisory' and granted and objsubid = 2 and classid = %s and objid::bigint >= %s
                and database = (select oid from pg_database where datname = current_database())
        )
        """,
        [locks.NAMESPACE, locks.FIRST_FEED],
    ).fetchone()[0]


def records_kept(connection: psycopg.Connection) -> dict[str, int]:
    """Rows that each feed's loads brought, withdrawn loads left out."""
    rows = connection.execute(
        "select feed, sum(inserted)::bigint from raw.loads where status <> 'withdrawn' group by feed"
    )
    return dict(rows.fetchall())


def open_load(
    connection: psycopg.Connection, feed: str, source: str, checksum: str | None, started_at: datetime
) -> int:
    """A new load's number; nobody else sees it before the transaction commits."""
    return connection.execute(
        "insert into raw.loads (feed, source, checksum, started_at) values (%s, %s, %s, %s) returning load_id",
        [feed, source, checksum, started_at],
    ).fetchone()[0]


def discard_load(connection: psycopg.Connection, load_id: int) -> None:
    """Take back a load that brought nothing."""
    connection.execute("delete from raw.loads where load_id = %s", [load_id])


def close_load(
    connection: psycopg.Connection,
    table: RawTable,
    load_id: int,
    tally: Tally,
    *,
    quarantined: int,
    span: tuple[datetime | None, datetime | None],
) -> None:
    """Write what became of a load's records, and take over rows that held loads keep from sight."""
    connection.execute(
        """
        update raw.loads
        set
            records_read = %(read)s, inserted = %(inserted)s, duplicate = %(duplicate)s,
            conflicting = %(conflicting)s, quarantined = %(quarantined)s,
            earliest_at = %(earliest)s, latest_at = %(latest)s, finished_at = clock_timestamp()
        where load_id = %(load_id)s
        """,
        {
            "load_id": load_id,
            "read": tally.inserted + tally.duplicate + quarantined,
            "inserted": tally.inserted,
            "duplicate": tally.duplicate,
            "conflicting": tally.conflicting,
            "quarantined": quarantined,
            "earliest": span[0],
            "latest": span[1],
        },
    )
    _take_over(connection, table, load_id)


def _take_over(connection: psycopg.Connection, table: RawTable, load_id: int) -> None:
    """Give a visible load the rows that it shadows and held loads own."""
    # Locked, so that an owner is either held by now, or will be when these shadows can be seen.
    owners = connection.execute(
        """
        select load_id, status
        from raw.loads
        where load_id in (select owner_load_id from raw.shadowed where load_id = %s)
        order by load_id
        for share
        """,
        [load_id],
    ).fetchall()
    for owner, status in owners:
        if status == "held":
            _hand_over(connection, table, owner, keep=True)


def hold(connection: psycopg.Connection, load_ids: Sequence[int], reason: str) -> None:
    """Hide these loads from staging until someone accepts or withdraws them; loads already held stay so."""
    with connection.transaction():
        for load_id in sorted(load_ids):
            load = _locked(connection, load_id)
            if load.status in ("loaded", "accepted"):
                _set_status(connection, load_id, "held", reason)
        # Only now, or a row could go from one of these loads to the next.
        for load_id in sorted(load_ids):
            load = _locked(connection, load_id)
            _hand_over(connection, RawTable.read(connection, load.feed), load_id, keep=True)


def accept(connection: psycopg.Connection, load_id: int) -> None:
    """Show a held load to the next build, with what it says of rows that loads still held keep from sight.

    Waits for a running load of the feed. Raises WarehouseError when the load is not held.
    """
    with connection.transaction():
        # A load that runs meanwhile has looked up the owners of the rows that change hands.
        lock_feed(connection, _feed_of(connection, load_id))
        load = _held(connection, load_id)
        connection.execute(
            "update raw.loads set status = 'accepted', claimed_build_id = null where load_id = %s", [load_id]
        )
        _take_over(connection, RawTable.read(connection, load.feed), load_id)


def withdraw(connection: psycopg.Connection, load_id: int) -> None:
    """Take a held load back: its rows, shadows and waiting quarantined records go; its file may be sent again.

    Records that it released from quarantine wait there again, unless the load that brought them is withdrawn too.
    Waits for a running load of the feed. Raises WarehouseError when the load is not held.
    """
    with connection.transaction():
        # A load that runs meanwhile would take the rows that go for the first of their keys.
        lock_feed(connection, _feed_of(connection, load_id))
        load = _held(connection, load_id)
        table = RawTable.read(connection, load.feed)
        _hand_over(connection, table, load_id, keep=False)
        connection.execute(sql.SQL("delete from {} where load_id = %s").format(table.name), [load_id])
        connection.execute("delete from raw.shadowed where load_id = %s", [load_id])
        connection.execute("update raw.loads set status = 'withdrawn' where load_id = %s", [load_id])
        quarantine.take_back(connection, load_id)


def _held(connection: psycopg.Connection, load_id: int) -> Load:
    load = _locked(connection, load_id)
    if load.status != "held":
        raise WarehouseError(f"load {load_id} is not held but {load.status}: only a held load is accepted or withdrawn")
    return load


def _locked(connection: psycopg.Connection, load_id: int) -> Load:
    query = sql.SQL("select {} from raw.loads where load_id = %s for no key update").format(_COLUMNS)
    with connection.cursor(row_factory=class_row(Load)) as cursor:
        load = cursor.execute(query, [load_id]).fetchone()
    if load is None:
        raise _unknown(load_id)
    return load


def _feed_of(connection: psycopg.Connection, load_id: int) -> str:
    found = connection.execute("select feed from raw.loads where load_id = %s", [load_id]).fetchone()
    if found is None:
        raise _unknown(load_id)
    return found[0]


def _unknown(load_id: int) -> WarehouseError:
    return WarehouseError(f"there is no load {load_id}: see  marketing loads list")


def _set_status(connection: psycopg.Connection, load_id: int, status: str, reason: str) -> None:
    connection.execute("update raw.loads set status = %s, reason = %s where load_id = %s", [status, reason, load_id])


def _hand_over(connection: psycopg.Connection, table: RawTable, owner: int, *, keep: bool) -> None:
    """Give the owner's rows to the first load that shadows them: a visible one, or, unless the owner keeps its
    copy (as a shadow of the new row), a held one. A load already published is new again to the next build."""
    parts = {
        "raw": table.name,
        "same_key": table.same_key("kept", "takeover"),
        "same_record": table.same_key("told", "takeover"),
        "key": sql.SQL(", ").join(sql.Identifier("told", column) for column in table.key),
        "columns": sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        "contents": sql.SQL(", ").join(sql.Identifier("told", column) for column in table.columns),
        "taken": sql.SQL(", ").join(sql.Identifier("takeover", column) for column in table.columns),
    }
    names = {"feed": table.feed, "owner": owner, "keep": keep}
    connection.execute("drop table if exists pg_temp.takeover")
    connection.execute(
        sql.SQL(
            """
            create temporary table takeover on commit drop as
            select distinct on ({key}) shadowed.shadow_id, {contents}
            from raw.shadowed
            inner join raw.loads on loads.load_id = shadowed.load_id
            cross join lateral jsonb_populate_record(null::{raw}, shadowed.record) as told
            where
                shadowed.owner_load_id = %(owner)s
                and loads.status in ('loaded', 'accepted', case when not %(keep)s then 'held' end)
            order by {key}, loads.status = 'held', shadowed.shadow_id
            """
        ).format(**parts),
        names,
    )
    if keep:
        connection.execute(
            sql.SQL(
                """
                insert into raw.shadowed (feed, load_id, owner_load_id, record)
                select %(feed)s, kept.load_id, takeover.load_id, to_jsonb(kept)
                from takeover
                inner join {raw} as kept on {same_key}
                """
            ).format(**parts),
            names,
        )
    connection.execute(
        sql.SQL("update {raw} as kept set ({columns}) = row({taken}) from takeover where {same_key}").format(**parts)
    )
    connection.execute("delete from raw.shadowed using takeover where shadowed.shadow_id = takeover.shadow_id")
    # What else was said of these keys now stands behind the new owner; its own repetitions are of no more use.
    connection.execute(
        sql.SQL(
            """
            update raw.shadowed
            set owner_load_id = takeover.load_id
            from takeover
            cross join raw.shadowed as others
            cross join lateral jsonb_populate_record(null::{raw}, others.record) as told
            where shadowed.shadow_id = others.shadow_id and others.owner_load_id = %(owner)s and {same_record}
            """
        ).format(**parts),
        names,
    )
    connection.execute("delete from raw.shadowed where load_id = owner_load_id")
    connection.execute(
        """
        with moved as (select load_id, count(*) as records from takeover group by load_id)

        update raw.loads
        set
            inserted = inserted + records,
            duplicate = duplicate - records,
            conflicting = least(conflicting, duplicate - records),
            -- Its claim stays, or a build that runs meanwhile would lose sight of it; the next one claims it anew.
            published_build_id = null
        from moved
        where loads.load_id = moved.load_id
        """
    )
    if keep:
        connection.execute(
            """
            update raw.loads
            set inserted = inserted - records, duplicate = duplicate + records
            from (select count(*) as records from takeover) as moved
            where load_id = %(owner)s
            """,
            names,
        )
