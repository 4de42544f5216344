"""Migrations and roles: applied once whoever starts first, and each role sees what it may and nothing else."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import yaml
from psycopg.types.json import Jsonb

from orchestration.warehouse import Warehouse, WarehouseError, ledger, migrate
from orchestration.warehouse.address import libpq_url
from tests.conftest import new_database

SCHEMAS = ("raw", "staging", "intermediate", "candidate", "ops", "privacy")


@contextmanager
def member_of(role: str, warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """A session of a new login that is a member of role, and of nothing else."""
    name, password = f"{role}_{secrets.token_hex(4)}", secrets.token_hex(8)
    with warehouse.connect(autocommit=True) as owner:
        owner.execute(f"create role {name} login password '{password}' in role {role}")
        try:
            with psycopg.connect(warehouse.url, user=name, password=password, autocommit=True) as session:
                yield session
        finally:
            owner.execute(f"drop role {name}")


@pytest.fixture
def analyst(module_warehouse):
    with member_of("analyst", module_warehouse) as session:
        yield session


@pytest.fixture(scope="module", autouse=True)
def tables(module_warehouse):
    with module_warehouse.connect() as connection:
        for schema in ("staging", "intermediate", "candidate", "marts", "public"):
            connection.execute(f"create table {schema}.sample as select 1 as one")
        connection.execute("insert into privacy.vault values ('p', 1, 'sealed')")


def test_several_starts_at_once_migrate_once(session_warehouse, tmp_path):
    """make up opens the warehouse from four processes within a second."""
    with new_database(session_warehouse) as url, ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda number: Warehouse.open(tmp_path / str(number), url), range(4)))
        assert [warehouse.migrations().pending for warehouse in opened] == [[]] * 4


def test_status_lists_what_is_applied_and_what_is_pending(session_warehouse, warehouse):
    with new_database(session_warehouse) as url, psycopg.connect(url) as connection:
        status = migrate.status(connection)
    assert status.applied == []
    assert [name for name, _ in status.pending] == [
        path.name[:4] for path in sorted((migrate.MIGRATIONS / "versions").glob("0*.py"))
    ]
    assert status.pending[0][1].startswith("Marketing automation")
    assert warehouse.migrations().applied == status.pending


def test_a_failing_migration_leaves_nothing_behind(session_warehouse, tmp_path):
    """Half a schema would fail at every later start, and only a person could mend it."""
    with new_database(session_warehouse) as url:
        with psycopg.connect(url) as connection:
            connection.execute("create schema raw")
        with pytest.raises(WarehouseError, match='none was applied: schema "raw" already exists'):
            Warehouse.open(tmp_path, url)
        with psycopg.connect(url) as connection:
            assert migrate.status(connection).applied == []
            assert connection.execute("select to_regnamespace('ops')").fetchone() == (None,)


def test_shadows_from_before_a_column_may_still_take_their_rows_over(session_warehouse, tmp_path, monkeypatch):
    """They are copies of rows as these were: without 0009's verdict, holding the first load would fail."""
    to_head = migrate.command.upgrade
    monkeypatch.setattr(migrate.command, "upgrade", lambda config, _head: to_head(config, "0008"))
    with new_database(session_warehouse) as url:
        Warehouse.open(tmp_path, url)
        with psycopg.connect(url) as connection:
            first, second = (
                connection.execute(
                    "insert into raw.loads (feed, source, records_read, inserted, duplicate, started_at) "
                    "values ('viral_actions', 'a test', 1, %s, %s, now()) returning load_id",
                    [1 - again, again],
                ).fetchone()[0]
                for again in (0, 1)
            )
            connection.execute(
                "insert into raw.viral_actions values "
                "('v-1', 'invite_sent', 'u-1', 'key', 'mailbox', 1, null, null, now(), null, %s)",
                [first],
            )
            connection.execute(
                "insert into raw.shadowed (feed, load_id, owner_load_id, record) "
                "select 'viral_actions', %(second)s, load_id, to_jsonb(sent) || %(own)s from raw.viral_actions as sent",
                {"second": second, "own": Jsonb({"load_id": second})},
            )
        monkeypatch.undo()
        warehouse = Warehouse.open(tmp_path, url)
        with warehouse.connect() as connection:
            ledger.hold(connection, [first], "it looks wrong")
            found = connection.execute("select load_id, recipient_is_disposable from raw.viral_actions").fetchall()
    assert found == [(second, False)]


def test_a_warehouse_of_a_newer_version_is_refused(warehouse):
    """An old checkout must not build over tables that it does not know."""
    with warehouse.connect() as connection:
        connection.execute("update ops.alembic_version set version_num = '9999'")
    with pytest.raises(WarehouseError, match="is at migration 9999, which this version does not know"):
        Warehouse.open(warehouse.home, warehouse.url)


def test_an_analyst_reads_marts(analyst):
    assert analyst.execute("select one from marts.sample").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into marts.sample values (2)",
        "drop table marts.sample",
        "create table marts.mine (one int)",
        "create table public.mine (one int)",
    ],
)
def test_an_analyst_changes_nothing(analyst, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute(statement)


def test_an_analyst_reads_nothing_else(module_warehouse, analyst):
    """Raw tables hold what the marts leave out on purpose: pseudonyms, and records that were never checked."""
    with module_warehouse.connect() as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname = any(%s)", [[*SCHEMAS, "public"]]
        ).fetchall()
    assert {schema for schema, _ in tables} == {*SCHEMAS, "public"}
    for schema, table in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst.execute(f"select * from {schema}.{table}")
    dagster = f"{analyst.info.dbname}_dagster"
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(libpq_url(analyst.info.dsn, database=dagster), password=analyst.info.password)


def test_an_auditor_reads_ops_and_marts_only(module_warehouse):
    with member_of("auditor", module_warehouse) as auditor:
        assert auditor.execute("select count(*) from ops.builds").fetchone() == (0,)
        assert auditor.execute("select one from marts.sample").fetchone() == (1,)
        for table in ("raw.touchpoints", "privacy.vault", "candidate.sample"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                auditor.execute(f"select * from {table}")


def test_the_engine_fills_the_vault_and_cannot_read_it(module_warehouse):
    """Whoever breaks into the engine's sessions finds pseudonyms, not addresses."""
    with module_warehouse.connect(autocommit=True) as engine:
        engine.execute("insert into privacy.vault values ('p', 1, 'again') on conflict (pseudonym) do nothing")
        assert engine.execute("select pseudonym, key_version from privacy.vault").fetchall() == [("p", 1)]
        if engine.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() == (False,):
            for statement in (
                "select address from privacy.vault",
                "update privacy.vault set address = 'x'",
                "delete from privacy.vault",
                "set role privacy",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    engine.execute(statement)


def test_the_privacy_role_reads_and_empties_the_vault_and_nothing_else(module_warehouse):
    with member_of("privacy", module_warehouse) as officer:
        assert officer.execute("select address from privacy.vault").fetchone() == (b"sealed",)
        officer.execute("delete from privacy.vault where pseudonym = 'q'")
        for table in ("raw.touchpoints", "marts.sample", "ops.builds"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                officer.execute(f"select * from {table}")


def test_dbts_profile_is_written_for_the_owner_alone(warehouse: Warehouse):
    path = warehouse.home / "profiles.yml"
    assert path.stat().st_mode & 0o777 == 0o600
    target = yaml.safe_load(path.read_text())["marketing_automation"]["outputs"]["warehouse"]
    assert libpq_url(
        f"postgresql://{target['user']}:{target['password']}@{target['host']}:{target['port']}/{target['dbname']}"
    ) == libpq_url(warehouse.url)
