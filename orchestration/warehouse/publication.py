"""Publication: the permanent tables of `marts` brought to the state of `candidate`, in one transaction.

The tables are never dropped or renamed: views of analysts hang on them, and a reader in one REPEATABLE READ
transaction sees one build, whole.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import psycopg
from psycopg import sql

CANDIDATE = "candidate"
MARTS = "marts"
ALTER_WAIT = "30s"


@dataclass(frozen=True)
class Mart:
    """A table to publish. grain: columns that name a row.

    affected: (schema, table, key columns) that lists what an incremental build replaced; None for a small
    table, which is compared row by row. holds_credit: made anew where every conversion is credited anew.
    """

    name: str
    grain: tuple[str, ...]
    affected: tuple[str, str, tuple[str, ...]] | None = None
    holds_credit: bool = False


@dataclass(frozen=True)
class Published:
    """What publication did to one table: rows taken out, put in, and there now."""

    mart: Mart
    deleted: int
    inserted: int
    rows: int


def figures(published: Iterable[Published]) -> dict[str, dict[str, int]]:
    """What is kept of a publication in ops.builds, by mart."""
    return {one.mart.name: {"deleted": one.deleted, "inserted": one.inserted, "rows": one.rows} for one in published}


def publish(
    connection: psycopg.Connection,
    marts: Sequence[Mart],
    *,
    is_full: bool,
    recredits: bool = False,
    end_build: Callable[[psycopg.Connection, list[Published]], None],
    rows_before: Mapping[str, int] = MappingProxyType({}),
) -> list[Published]:
    """Bring every mart to the candidate's state and call end_build, all in one transaction.

    is_full: the build computed everything, so the affected keys say nothing and rows are compared; recredits: so it
    did of the marts that hold credit.
    rows_before: of marts, by name, as the last publication left them: a large table is not counted again.
    """
    with connection.transaction():
        published = []
        for mart in marts:
            _take_shape(connection, mart)
            by_keys = mart.affected is not None and not is_full and not (recredits and mart.holds_credit)
            deleted, inserted = (_by_affected_keys if by_keys else _by_difference)(connection, mart)
            if by_keys and mart.name in rows_before:
                rows = rows_before[mart.name] - deleted + inserted
            else:
                rows = _count(connection, mart)
            published.append(Published(mart, deleted, inserted, rows))
        end_build(connection, published)
    if is_full:
        for mart in marts:
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier(MARTS, mart.name)))
    return published


def _count(connection: psycopg.Connection, mart: Mart) -> int:
    return connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(MARTS, mart.name))).fetchone()[0]


def _by_affected_keys(connection: psycopg.Connection, mart: Mart) -> tuple[int, int]:
    schema, table, key = mart.affected
    names = {
        "mart": sql.Identifier(MARTS, mart.name),
        "candidate": sql.Identifier(CANDIDATE, mart.name),
        "affected": sql.Identifier(schema, table),
        "columns": _columns(connection, mart),
        "key": sql.SQL(", ").join(map(sql.Identifier, key)),
        "same_key": sql.SQL(" and ").join(
            sql.SQL("kept.{0} = affected.{0}").format(sql.Identifier(column)) for column in key
        ),
    }
    deleted = connection.execute(
        sql.SQL("delete from {mart} as kept using {affected} as affected where {same_key}").format(**names)
    )
    inserted = connection.execute(
        sql.SQL(
            "insert into {mart} ({columns}) "
            "select {columns} from {candidate} where ({key}) in (select {key} from {affected})"
        ).format(**names)
    )
    return deleted.rowcount, inserted.rowcount


def _by_difference(connection: psycopg.Connection, mart: Mart) -> tuple[int, int]:
    names = {
        "mart": sql.Identifier(MARTS, mart.name),
        "candidate": sql.Identifier(CANDIDATE, mart.name),
        "columns": _columns(connection, mart),
        "same_row": sql.SQL(" and ").join(
            sql.SQL("kept.{0} = gone.{0}" if not_null else "kept.{0} is not distinct from gone.{0}").format(
                sql.Identifier(column)
            )
            for column, not_null in _grain(connection, mart)
        ),
    }
    if connection.execute(sql.SQL("select exists (select from {mart})").format(**names)).fetchone()[0] is False:
        first = connection.execute(
            sql.SQL("insert into {mart} ({columns}) select {columns} from {candidate}").format(**names)
        )
        return 0, first.rowcount
    deleted = connection.execute(
        sql.SQL(
            "with gone as (select {columns} from {mart} except all select {columns} from {candidate}) "
            "delete from {mart} as kept using gone where {same_row}"
        ).format(**names)
    )
    inserted = connection.execute(
        sql.SQL(
            "insert into {mart} ({columns}) select {columns} from {candidate} except all select {columns} from {mart}"
        ).format(**names)
    )
    return deleted.rowcount, inserted.rowcount


def _grain(connection: psycopg.Connection, mart: Mart) -> list[tuple[str, bool]]:
    """The columns that name a row, and whether each is never null: by equality, unlike `is not distinct from`,
    PostgreSQL can hash."""
    shape = _shape(connection, CANDIDATE, mart.name)
    return [(column, shape[column][1]) for column in mart.grain]


def _columns(connection: psycopg.Connection, mart: Mart) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(name) for name in _shape(connection, CANDIDATE, mart.name))


def _take_shape(connection: psycopg.Connection, mart: Mart) -> None:
    """Make the mart, or give it the candidate's columns, comments and indexes, without ever dropping it."""
    target = sql.Identifier(MARTS, mart.name)
    wanted = _shape(connection, CANDIDATE, mart.name)
    found = _shape(connection, MARTS, mart.name)
    if not found:
        connection.execute(
            sql.SQL("create table {} (like {} including all)").format(target, sql.Identifier(CANDIDATE, mart.name))
        )
    elif found != wanted:
        _alter(connection, mart, found, wanted)
    _copy_indexes(connection, mart)
    _copy_comments(connection, mart)


def _alter(
    connection: psycopg.Connection, mart: Mart, found: dict[str, tuple[str, bool]], wanted: dict[str, tuple[str, bool]]
) -> None:
    """Add, drop and retype columns. Rows of a new column are filled by the row comparison that follows."""
    changes = [sql.SQL("drop column {}").format(sql.Identifier(name)) for name in found if name not in wanted]
    for name, (data_type, not_null) in wanted.items():
        column, type_name = sql.Identifier(name), sql.SQL(data_type)
        if name not in found:
            changes.append(sql.SQL("add column {} {}").format(column, type_name))
            continue
        if found[name][0] != data_type:
            changes.append(sql.SQL("alter column {} type {}").format(column, type_name))
        if found[name][1] and not not_null:
            changes.append(sql.SQL("alter column {} drop not null").format(column))
    if changes:
        # An analyst's idle transaction must not make every later reader queue behind this statement for hours.
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(ALTER_WAIT)))
        connection.execute(
            sql.SQL("alter table {} {}").format(sql.Identifier(MARTS, mart.name), sql.SQL(", ").join(changes))
        )


def _shape(connection: psycopg.Connection, schema: str, name: str) -> dict[str, tuple[str, bool]]:
    """Columns of a table in order: name to (type, is not null). Empty when there is no such table."""
    rows = connection.execute(
        """
        select attname, format_type(atttypid, atttypmod), attnotnull
        from pg_attribute
        where attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) and attnum > 0 and not attisdropped
        order by attnum
        """,
        [schema, name],
    ).fetchall()
    return {column: (data_type, not_null) for column, data_type, not_null in rows}


def _copy_indexes(connection: psycopg.Connection, mart: Mart) -> None:
    missing = connection.execute(
        """
        with definitions as (
            select
                schemaname,
                substring(indexdef from '^CREATE (UNIQUE )?INDEX') is not null as is_index,
                indexdef like 'CREATE UNIQUE%%' as is_unique,
                substring(indexdef from ' USING .*$') as definition
            from pg_indexes
            where schemaname in ('candidate', 'marts') and tablename = %s
        )
        select is_unique, definition from definitions where schemaname = 'candidate'
        except
        select is_unique, definition from definitions where schemaname = 'marts'
        """,
        [mart.name],
    ).fetchall()
    for is_unique, definition in missing:
        connection.execute(
            sql.SQL("create {} index on {} {}").format(
                sql.SQL("unique" if is_unique else ""), sql.Identifier(MARTS, mart.name), sql.SQL(definition)
            )
        )


def _copy_comments(connection: psycopg.Connection, mart: Mart) -> None:
    """Descriptions from dbt's documentation, where they changed."""
    changed = connection.execute(
        """
        select attributes.attname, col_description(candidate.oid, attributes.attnum)
        from pg_class as candidate
        inner join pg_attribute as attributes
            on attributes.attrelid = candidate.oid and attributes.attnum > 0 and not attributes.attisdropped
        inner join pg_class as marts
            on marts.relname = candidate.relname and marts.relnamespace = 'marts'::regnamespace
        inner join pg_attribute as published
            on published.attrelid = marts.oid and published.attname = attributes.attname
        where
            candidate.relname = %s and candidate.relnamespace = 'candidate'::regnamespace
            and col_description(candidate.oid, attributes.attnum)
            is distinct from col_description(marts.oid, published.attnum)
        """,
        [mart.name],
    ).fetchall()
    target = sql.Identifier(MARTS, mart.name)
    for column, comment in changed:
        connection.execute(
            sql.SQL("comment on column {}.{} is {}").format(target, sql.Identifier(column), sql.Literal(comment))
        )
    table_comments = connection.execute(
        "select obj_description(to_regclass('candidate.' || quote_ident(%(name)s)), 'pg_class'), "
        "obj_description(to_regclass('marts.' || quote_ident(%(name)s)), 'pg_class')",
        {"name": mart.name},
    ).fetchone()
    if table_comments[0] != table_comments[1]:
        connection.execute(sql.SQL("comment on table {} is {}").format(target, sql.Literal(table_comments[0])))
