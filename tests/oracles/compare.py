"""Holding a mart table against the oracle's rows, with a message that says where they part."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import dict_row

from tests.oracles.attribution import Row
from tests.oracles.oracle import FITTED_GRAINS, GRAINS, by_grain

SHOWN = 5
"""Differing rows that a message names, per mart and kind of difference."""


def read_mart(connection: Connection, table: str, *, schema: str = "marts") -> list[Row]:
    """All rows of a mart table in the oracle's form: dicts sorted by grain, times in UTC."""
    query = sql.SQL("select * from {}").format(sql.Identifier(schema, table))
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = [{name: _in_utc(value) for name, value in row.items()} for row in cursor.execute(query)]
    return by_grain(rows, (GRAINS | FITTED_GRAINS)[table])


def differences(table: str, found: Sequence[Row], expected: Sequence[Row]) -> str:
    """What a reader needs to see why the rows differ; empty when they are equal.

    Rows are matched by grain. Values must be equal and of one type (an int is not a Decimal): there is no
    tolerance, in credits neither. Columns that only `found` has are not looked at.
    """
    grain = (GRAINS | FITTED_GRAINS)[table]
    found_by, expected_by = _by_key(table, found, grain), _by_key(table, expected, grain)
    missing = [key for key in expected_by if key not in found_by]
    extra = [key for key in found_by if key not in expected_by]
    changed = {
        key: columns
        for key, row in expected_by.items()
        if key in found_by and (columns := _changed_columns(found_by[key], row))
    }
    if not (missing or extra or changed):
        return ""
    lines = [f"{table}: {len(found)} rows, expected {len(expected)}; by {', '.join(grain)}:"]
    lines += _listed("missing", [f"{_shown(key)} {_plain(expected_by[key], grain)}" for key in missing])
    lines += _listed("not expected", [f"{_shown(key)} {_plain(found_by[key], grain)}" for key in extra])
    lines += _listed("different", [f"{_shown(key)} " + "; ".join(columns) for key, columns in changed.items()])
    return "\n".join(lines)


def _by_key(table: str, rows: Sequence[Row], grain: Sequence[str]) -> dict[tuple, Row]:
    keyed = {tuple(row[column] for column in grain): row for row in rows}
    assert len(keyed) == len(rows), f"{table}: {len(rows) - len(keyed)} rows repeat the grain {', '.join(grain)}"
    return keyed


def _changed_columns(found: Row, expected: Row) -> list[str]:
    told = []
    for column, value in expected.items():
        if column not in found:
            told.append(f"{column} is no column of the table")
        elif found[column] != value or type(found[column]) is not type(value):
            told.append(f"{column} = {found[column]!r}, expected {value!r}")
    return told


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"    and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [f"  {title} ({len(lines)}):", *(f"    {line}" for line in lines[:SHOWN]), *more]


def _shown(key: tuple) -> str:
    return " / ".join(str(value) for value in key)


def _plain(row: Row, grain: Sequence[str]) -> str:
    return ", ".join(f"{column}={value}" for column, value in row.items() if column not in grain and value is not None)


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
