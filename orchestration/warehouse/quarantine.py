"""Records that broke their feed's contract: put aside, read again, released."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from .bulk import copy_rows


@dataclass(frozen=True)
class QuarantinedRecord:
    """A record on its way to raw.quarantine. record: sealed."""

    line: int
    field: str | None
    reason: str
    record: bytes


def put_aside(
    connection: psycopg.Connection,
    load: tuple[int, str, str],
    records: Sequence[QuarantinedRecord],
    *,
    key_version: int,
) -> None:
    """Add records to raw.quarantine. load: its load_id, feed and source."""
    if not records:
        return
    rows = copy_rows(
        [
            *([value] * len(records) for value in load),
            [record.line for record in records],
            [record.field for record in records],
            [record.reason for record in records],
            [record.record for record in records],
            [key_version] * len(records),
        ]
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy raw.quarantine (load_id, feed, source, line, field, reason, record, key_version) from stdin"
        ) as copy,
    ):
        copy.write("".join(rows))


@dataclass(frozen=True)
class WaitingRecord:
    """A sealed record that waits in quarantine."""

    quarantine_id: int
    record: bytes


def waiting_records(connection: psycopg.Connection, feed: str, *, after: int, limit: int) -> list[WaitingRecord]:
    """Up to `limit` waiting records in the order in which they came, from the one after that number on.

    Those of held loads wait with their load.
    """
    with connection.cursor(row_factory=class_row(WaitingRecord)) as cursor:
        return cursor.execute(
            """
            select quarantine.quarantine_id, quarantine.record
            from raw.quarantine
            inner join raw.loads on loads.load_id = quarantine.load_id
            where
                quarantine.feed = %s
                and quarantine.quarantine_id > %s
                and quarantine.released_at is null
                and loads.status in ('loaded', 'accepted')
            order by quarantine.quarantine_id
            limit %s
            """,
            [feed, after, limit],
        ).fetchall()


def common_reasons(
    connection: psycopg.Connection, load_ids: Sequence[int], *, limit: int
) -> list[tuple[str, str, int]]:
    """(feed, reason, records) of these loads' quarantined records, the most common first."""
    return connection.execute(
        """
        select feed, reason, count(*)
        from raw.quarantine
        where load_id = any(%s)
        group by feed, reason
        order by count(*) desc, feed, reason
        limit %s
        """,
        [list(load_ids), limit],
    ).fetchall()


def release(connection: psycopg.Connection, quarantine_ids: Sequence[int], load_id: int) -> None:
    """Mark records as loaded by that load; they stay, sealed, until it is published: it may be withdrawn."""
    connection.execute(
        """
        update raw.quarantine
        set released_at = clock_timestamp(), released_load_id = %s
        where quarantine_id = any(%s)
        """,
        [load_id, list(quarantine_ids)],
    )


def take_back(connection: psycopg.Connection, load_id: int) -> None:
    """What a load's withdrawal means here: records that it released wait again, those of withdrawn loads go."""
    connection.execute(
        """
        update raw.quarantine
        set released_at = null, released_load_id = null
        where released_load_id = %s and record is not null
        """,
        [load_id],
    )
    connection.execute(
        """
        delete from raw.quarantine
        using raw.loads
        where
            loads.load_id = quarantine.load_id
            and loads.status = 'withdrawn'
            and quarantine.feed = (select feed from raw.loads where load_id = %s)
            and quarantine.released_at is null
        """,
        [load_id],
    )


def empty_published(connection: psycopg.Connection, build_id: int) -> None:
    """Empty the sealed copies of records that loads just published by this build have released."""
    connection.execute(
        """
        update raw.quarantine
        set record = null
        from raw.loads
        where
            loads.load_id = quarantine.released_load_id
            and loads.published_build_id = %s
            and loads.checksum is null
            and quarantine.record is not null
        """,
        [build_id],
    )


def keep_waiting(connection: psycopg.Connection, faults: Sequence[tuple[int, str | None, str]]) -> None:
    """Bring field and reason of records that stay up to date. faults: quarantine_id, field, reason."""
    connection.execute(
        """
        update raw.quarantine
        set field = found.field, reason = found.reason
        from unnest(%s::bigint[], %s::text[], %s::text[]) as found (quarantine_id, field, reason)
        where
            quarantine.quarantine_id = found.quarantine_id
            and (quarantine.field, quarantine.reason) is distinct from (found.field, found.reason)
        """,
        [list(column) for column in zip(*faults, strict=True)] or [[], [], []],
    )
