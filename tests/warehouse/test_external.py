"""WAREHOUSE_URL: a server of somebody else, PostgreSQL 16 here, whose administrator may grant little."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
import yaml

from orchestration.warehouse import Warehouse, WarehouseError
from orchestration.warehouse.address import libpq_url
from orchestration.warehouse.backup import backup
from orchestration.warehouse.report import report
from orchestration.warehouse.server import EmbeddedServer
from orchestration.warehouse.warehouse import check_version


@pytest.fixture(scope="module")
def postgresql_16(tmp_path_factory) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path_factory.mktemp("external"), major=16)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def admin(postgresql_16) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgresql_16.admin_url("postgres"), autocommit=True) as connection:
        yield connection


def new_owner(admin: psycopg.Connection, rights: str) -> str:
    """libpq URL of a new login that owns a new database and has these rights besides."""
    name = f"owner_{secrets.token_hex(4)}"
    admin.execute(f"create role {name} login password 'secret' {rights}")
    admin.execute(f"create database {name} owner {name}")
    return f"postgresql://{name}:secret@127.0.0.1:{admin.info.port}/{name}"


@pytest.fixture
def no_roles(admin):
    """The server as before its first warehouse: without our roles."""
    for (name,) in admin.execute("select datname from pg_database where datname ~ '^(owner|marketing)'").fetchall():
        admin.execute(f"drop database {name} with (force)")
    for role in ("analyst", "auditor", "privacy"):
        admin.execute(f"drop role if exists {role}")


def remedy_in(error: pytest.ExceptionInfo) -> list[str]:
    return str(error.value).partition("have an administrator run  ")[2].split("; ")


def test_a_database_owner_who_may_create_roles_and_databases_needs_no_help(admin, no_roles, tmp_path):
    url = new_owner(admin, "createrole createdb")
    warehouse = Warehouse.open(tmp_path, url)
    assert warehouse.server is None
    assert warehouse.migrations().pending == []
    with warehouse.connect() as connection:
        assert connection.info.server_version // 10_000 == 16
        assert connection.execute("show jit").fetchone() == ("off",)
        assert connection.execute("show timezone").fetchone() == ("UTC",)
    again = Warehouse.open(tmp_path, url)
    assert again == warehouse
    state = report(tmp_path, url)
    assert (state.kind, state.running, state.server_version[:3]) == ("external", True, "16.")
    assert "secret" not in state.address
    target = yaml.safe_load((tmp_path / "profiles.yml").read_text())["marketing_automation"]["outputs"]["warehouse"]
    assert (target["password"], target["dbname"]) == ("secret", url.rpartition("/")[2])


def test_sessions_keep_utc_days_on_a_server_of_another_time_zone(admin, no_roles, tmp_path):
    """dbt and Dagster open sessions of their own: one cast to date in local time would move revenue by a day."""
    url = new_owner(admin, "createrole createdb")
    admin.execute(f"alter database {url.rpartition('/')[2]} set timezone = 'Pacific/Auckland'")
    Warehouse.open(tmp_path, url)
    with psycopg.connect(url) as plain:
        query = "select '2026-04-01T23:59:59Z'::timestamptz::date::text"
        assert plain.execute(query).fetchone() == ("2026-04-01",)


def test_an_owner_without_rights_is_told_what_to_ask_for_and_that_suffices(admin, no_roles, tmp_path):
    """Managed servers hand out plain owners; whoever reads the message can mend it without reading the code."""
    url = new_owner(admin, "")
    asked_for = []
    while len(asked_for) < 3:
        try:
            warehouse = Warehouse.open(tmp_path, url)
            break
        except WarehouseError as error:
            _, _, remedy = str(error).partition("have an administrator run  ")
            asked_for.append(remedy)
            for statement in remedy.split("; "):
                admin.execute(statement)
    assert len(asked_for) == 2
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("insert into privacy.vault values ('p', 1, 'sealed')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select address from privacy.vault")
    with pytest.raises(WarehouseError, match=r"may not copy the vault: run this one command with .* superuser"):
        backup(warehouse, tmp_path / "warehouse.dump")
    assert list(tmp_path.glob("*.dump*")) == []


def test_a_second_owner_on_the_server_is_told_to_ask_for_the_privacy_role(admin, no_roles, tmp_path):
    """The roles are there but another warehouse's user made them, who alone may lend them."""
    Warehouse.open(tmp_path / "first", new_owner(admin, "createrole createdb"))
    url = new_owner(admin, "createrole createdb")
    with pytest.raises(WarehouseError, match="have an administrator run  grant privacy to") as error:
        Warehouse.open(tmp_path / "second", url)
    for statement in remedy_in(error):
        admin.execute(statement)
    assert Warehouse.open(tmp_path / "second", url).migrations().pending == []


def test_a_guest_in_somebody_elses_database_is_told_to_own_it(admin, no_roles, tmp_path):
    owner, guest = new_owner(admin, ""), new_owner(admin, "createrole createdb")
    url = libpq_url(guest, database=owner.rpartition("/")[2])
    with pytest.raises(WarehouseError, match="may not migrate the database") as error:
        Warehouse.open(tmp_path, url)
    for statement in remedy_in(error):
        admin.execute(statement)
    assert Warehouse.open(tmp_path, url).migrations().pending == []


@pytest.mark.parametrize("version", [150_008, 90_624])
def test_an_older_server_is_refused(version):
    with pytest.raises(WarehouseError, match="16 or newer is needed"):
        check_version(version)


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path):
    """Port 1 is nobody's."""
    url = "postgresql://engine:hunter22@127.0.0.1:1/marketing"
    with pytest.raises(WarehouseError, match=r"postgresql://engine@127\.0\.0\.1:1/marketing does not answer") as error:
        Warehouse.open(tmp_path, url)
    assert "hunter22" not in str(error.value)


def test_the_embedded_warehouse_is_reported_without_being_started(tmp_path):
    """`marketing warehouse status` must not change what it reports."""
    assert report(tmp_path).running is False
    assert list(tmp_path.iterdir()) == []
