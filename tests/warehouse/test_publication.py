"""Publication brings marts to the candidate's state, whatever changed, in a time that grows with rows alone."""

from collections.abc import Iterator

import pytest
from psycopg import Connection

from orchestration.warehouse import Warehouse
from orchestration.warehouse.publication import Mart, Published, publish

MART = Mart("credits", ("conversion_id", "touchpoint_id"))
ROWS = 40_000
LIMIT = "20s"
"""Comparing each row with each would take many times that."""


@pytest.fixture
def credits(warehouse: Warehouse) -> Iterator[Connection]:
    """A session with a published mart of ROWS rows, some without a touch."""
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(
            "create table candidate.credits (conversion_id text not null, touchpoint_id text, cents integer)"
        )
        connection.execute(
            "insert into candidate.credits "
            "select n::text, case when mod(n, 2) = 0 then 't' end, n from generate_series(1, %s) as n",
            [ROWS],
        )
        _publish(connection)
        yield connection


def _publish(connection: Connection) -> Published:
    return publish(connection, [MART], is_full=True, end_build=lambda _connection, _published: None)[0]


def _differences(connection: Connection) -> int:
    return connection.execute(
        "select count(*) from (table candidate.credits except all table marts.credits) as missing"
    ).fetchone()[0]


def test_a_rebuild_that_changes_every_row_is_published_in_linear_time(credits: Connection) -> None:
    """Prevents a publication after a change of policy that compares every row with every other."""
    credits.execute("update candidate.credits set cents = cents + 1")
    credits.execute("select set_config('statement_timeout', %s, false)", [LIMIT])
    published = _publish(credits)
    assert (published.deleted, published.inserted) == (ROWS, ROWS)
    assert _differences(credits) == 0


def test_a_rebuild_that_changes_nothing_touches_nothing(credits: Connection) -> None:
    """Prevents a full rebuild that rewrites every row for readers and backups to see."""
    published = _publish(credits)
    assert (published.deleted, published.inserted) == (0, 0)


def test_rows_whose_grain_has_no_value_are_replaced_and_removed_too(credits: Connection) -> None:
    """Prevents unattributed rows, which have no touch, from staying beside what replaced them."""
    credits.execute("update candidate.credits set cents = 0 where conversion_id = '1'")
    credits.execute("delete from candidate.credits where conversion_id = '3'")
    published = _publish(credits)
    assert (published.deleted, published.inserted) == (2, 1)
    assert _differences(credits) == 0
    assert credits.execute("select count(*) from marts.credits").fetchone() == (ROWS - 1,)
