"""Loading feed files in tests, and looking at what is in raw."""

from pathlib import Path
from typing import Any

from psycopg import sql

from orchestration.ingest.loader import load
from orchestration.ingest.open_load import LoadReport
from orchestration.ingest.records import FEEDS
from orchestration.warehouse import Warehouse
from orchestration.warehouse.bulk import RawTable
from tests.feed_records import COMPLETE, NOW, PERSONAL_DATA


def ingest(warehouse: Warehouse, *paths: Path, **options: Any) -> list[LoadReport]:
    return load(warehouse, paths, **{"personal_data": PERSONAL_DATA, "now": NOW} | options)


def counts(report: LoadReport) -> tuple[int, int, int, int, int]:
    """read, inserted, duplicate, conflicting, quarantined."""
    return report.records_read, report.inserted, report.duplicate, report.conflicting, report.quarantined


def rows(warehouse: Warehouse, feed: str) -> list[tuple[Any, ...]]:
    """The feed's raw rows but for the load that brought them, sorted."""
    with warehouse.connect() as connection:
        columns = [column for column in RawTable.read(connection, feed).columns if column != "load_id"]
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        found = connection.execute(sql.SQL("select {} from {}").format(names, sql.Identifier("raw", feed))).fetchall()
    return sorted(found, key=repr)


def query(warehouse: Warehouse, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with warehouse.connect() as connection:
        return connection.execute(text, parameters).fetchall()


def empty(warehouse: Warehouse) -> None:
    """Forget all loads and what they brought."""
    with warehouse.connect() as connection:
        tables = sql.SQL(", ").join(sql.Identifier("raw", table) for table in [*FEEDS, "loads"])
        connection.execute(sql.SQL("truncate {} cascade").format(tables))


def touches(count: int, *, start: int = 0, **fields: Any) -> list[dict[str, Any]]:
    return [COMPLETE["touchpoints"] | {"event_id": f"t-{number}"} | fields for number in range(start, start + count)]


def check_ledger(warehouse: Warehouse) -> None:
    """What the ledger says was inserted is there, and belongs to the load that says so."""
    for feed in FEEDS:
        kept = query(warehouse, f"select load_id, count(*) from raw.{feed} group by load_id order by load_id")
        told = query(
            warehouse,
            "select load_id, inserted from raw.loads where feed = %s and inserted > 0 and status <> 'withdrawn' "
            "order by load_id",
            feed,
        )
        assert kept == told, feed
