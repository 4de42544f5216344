"""Tables that Python fills from a build's statistics, for the models after it; rows are dataclasses of the columns."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any

import psycopg
from psycopg import sql

INTERMEDIATE = "intermediate"


def replace_fits(
    connection: psycopg.Connection, tables: Mapping[type, str], build_id: int, rows: Sequence[Any]
) -> None:
    """Fill these tables of the intermediate schema with the rows of their class, and nothing else; in one transaction.

    build_id: of every row, beside its fields.
    """
    with connection.transaction():
        for kind, table in tables.items():
            columns = [*(one.name for one in fields(kind)), "build_id"]
            name = sql.Identifier(INTERMEDIATE, table)
            connection.execute(sql.SQL("delete from {}").format(name))
            statement = sql.SQL("copy {} ({}) from stdin").format(
                name, sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    if isinstance(row, kind):
                        copy.write_row((*astuple(row), build_id))
