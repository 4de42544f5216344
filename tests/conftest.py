"""A real warehouse for the tests: embedded in a temporary MARKETING_HOME, or the server of WAREHOUSE_URL.

Every test that asks for `warehouse` gets a database of its own, copied from a migrated template.
"""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict

from orchestration.policy import Policy
from orchestration.settings import Settings
from orchestration.warehouse import Warehouse
from orchestration.warehouse.address import libpq_url

EXTERNAL_URL = os.environ.get("WAREHOUSE_URL")
DROP_ATTEMPTS = 20


@pytest.fixture(scope="session", autouse=True)
def marketing_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A temporary MARKETING_HOME; nothing of the developer's own settings reaches a test."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [*Settings.model_fields, *Policy.model_fields]:
            patch.delenv(name.upper(), raising=False)
        patch.setenv("MARKETING_HOME", str(home))
        yield home


@pytest.fixture(scope="session")
def session_warehouse(marketing_home: Path) -> Iterator[Warehouse]:
    """The server of the whole session. Its own database is never filled: ask for `warehouse` instead."""
    warehouse = Warehouse.open(marketing_home, EXTERNAL_URL)
    if warehouse.server is None:
        yield warehouse
        return
    try:
        with psycopg.connect(warehouse.server.admin_url(), autocommit=True) as connection:
            # What a test writes need not survive a power cut.
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
        yield warehouse
    finally:
        warehouse.server.stop()


@pytest.fixture(scope="session")
def template_database(session_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a migrated, empty database to copy from."""
    with new_database(session_warehouse) as url:
        Warehouse.open(tmp_path_factory.mktemp("template"), url)
        yield conninfo_to_dict(url)["dbname"]


@pytest.fixture
def warehouse(session_warehouse: Warehouse, template_database: str, tmp_path: Path) -> Iterator[Warehouse]:
    """A migrated, empty warehouse for this test alone; its home is tmp_path/home."""
    with new_database(session_warehouse, template=template_database) as url:
        yield Warehouse.open(tmp_path / "home", url)


@pytest.fixture(scope="module")
def module_warehouse(
    session_warehouse: Warehouse, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """A migrated, empty warehouse that the tests of one module share."""
    with new_database(session_warehouse, template=template_database) as url:
        yield Warehouse.open(tmp_path_factory.mktemp("home"), url)


@contextmanager
def new_database(warehouse: Warehouse, *, template: str = "template1") -> Iterator[str]:
    """libpq URL of a new database on the warehouse's server, dropped at the end with Dagster's beside it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        try:
            yield libpq_url(warehouse.url, database=name)
        finally:
            for database in (name, f"{name}_dagster"):
                _drop(connection, database)


def _drop(connection: Connection, database: str) -> None:
    """Drop a database, ending its sessions; one of autovacuum's is not ours to end, but it ends soon."""
    for attempt in range(DROP_ATTEMPTS):
        try:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))
            return
        except errors.InsufficientPrivilege:
            if attempt == DROP_ATTEMPTS - 1:
                raise
            time.sleep(0.5)
