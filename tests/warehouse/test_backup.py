"""Backups: what comes back is what was there, and a failure on the way changes nothing."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from orchestration.warehouse import Warehouse, WarehouseError
from orchestration.warehouse.backup import backup, restore
from orchestration.warehouse.locks import BuildLock, BuildRunningError

ROW = "insert into raw.identities values (%s, 'a', 'u', '2026-04-01', null, 1)"
IDS = "select event_id from raw.identities order by event_id"


@pytest.fixture
def filled(warehouse: Warehouse, session_warehouse: Warehouse) -> Warehouse:
    """A warehouse with a row in raw, one in the vault, and a mart."""
    warehouse = replace(warehouse, server=session_warehouse.server)
    with warehouse.connect() as connection:
        connection.execute(ROW, ["kept"])
        connection.execute("insert into privacy.vault values ('p', 1, 'sealed')")
        connection.execute("create table marts.sample as select 1 as one")
    return warehouse


def databases(warehouse: Warehouse) -> set[str]:
    with warehouse.connect() as connection:
        names = connection.execute("select datname from pg_database where starts_with(datname, current_database())")
        return {name for (name,) in names}


def grants(warehouse: Warehouse) -> list[tuple]:
    with warehouse.connect() as connection:
        return connection.execute(
            """
            select relnamespace::regnamespace::text, relname, pg_get_userbyid(relowner), relacl::text
            from pg_class
            where relnamespace::regnamespace::text in ('raw', 'marts', 'ops', 'privacy')
            order by 1, 2
            """
        ).fetchall()


@pytest.mark.parametrize("as_superuser", [True, False])
def test_a_backup_restores_data_owners_and_grants(filled, tmp_path, as_superuser):
    """Without a superuser too: managed servers hand out none."""
    filled = filled if as_superuser else replace(filled, server=None)
    before, around = grants(filled), databases(filled)
    file = backup(filled, tmp_path / "warehouse.dump")
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob(".warehouse*")) == []
    with filled.connect() as connection:
        connection.execute(ROW, ["later"])
        connection.execute("drop table marts.sample")
    restore(filled, file)
    with filled.connect() as connection:
        assert connection.execute(IDS).fetchall() == [("kept",)]
        assert connection.execute("select pseudonym from privacy.vault").fetchall() == [("p",)]
        assert connection.execute("show timezone").fetchone() == ("UTC",)
        connection.execute(ROW, ["goes on"])
    assert grants(filled) == before
    assert filled.migrations().pending == []
    assert databases(filled) == around


def test_an_older_backup_is_migrated_and_one_of_a_newer_version_refused(filled, tmp_path):
    """Restoring is what operators do after a failed upgrade: the backup is of the version before."""
    with filled.connect() as connection:
        connection.execute("update ops.alembic_version set version_num = '9999'")
    newer = backup(filled, tmp_path / "newer.dump")
    with filled.connect() as connection:
        connection.execute("delete from ops.alembic_version")
    emptied = backup(filled, tmp_path / "other.dump")
    with filled.connect() as connection:
        connection.execute("insert into ops.alembic_version values ('0001')")
        connection.execute(ROW, ["later"])
    around = databases(filled)
    with pytest.raises(WarehouseError, match="is at migration 9999"):
        restore(filled, newer)
    with pytest.raises(WarehouseError, match="holds no migrated warehouse"):
        restore(filled, emptied)
    with filled.connect() as connection:
        assert connection.execute(IDS).fetchall() == [("kept",), ("later",)]
    assert databases(filled) == around


def test_a_damaged_backup_changes_nothing(filled, tmp_path):
    file = backup(filled, tmp_path / "warehouse.dump")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    around = databases(filled)
    with pytest.raises(WarehouseError, match="pg_restore failed"):
        restore(filled, file)
    with filled.connect() as connection:
        assert connection.execute(IDS).fetchall() == [("kept",)]
    assert databases(filled) == around


def test_nothing_is_restored_under_a_running_build(filled, tmp_path):
    """The build would go on in a database that nobody reads any more."""
    file = backup(filled, tmp_path / "warehouse.dump")
    with (
        filled.connect("marketing build", autocommit=True) as session,
        BuildLock(session).take(wait_seconds=0),
        pytest.raises(BuildRunningError, match="marketing build"),
    ):
        restore(filled, file)


def test_sessions_in_the_old_database_end_with_it(filled, tmp_path):
    """A writer left in the old database would write into nothing, without an error."""
    file = backup(filled, tmp_path / "warehouse.dump")
    with filled.connect(autocommit=True) as bystander:
        restore(filled, file)
        with pytest.raises(psycopg.OperationalError, match=r"terminating connection|closed"):
            bystander.execute("select 1")
        bystander.close()


def test_what_a_killed_restore_left_goes_with_the_next(filled, tmp_path):
    file = backup(filled, tmp_path / "warehouse.dump")
    with filled.connect(autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"create database {name}_restoring_0123abcd")
        connection.execute(f"create database {name}_replaced_0123abcd")
        around = databases(filled) - {f"{name}_restoring_0123abcd", f"{name}_replaced_0123abcd"}
    restore(filled, file)
    assert databases(filled) == around


def test_the_vault_is_closed_again_after_a_backup(filled, tmp_path):
    """Copying it takes a right that the engine must not keep, nor after a failure."""
    damaged = tmp_path / "damaged.dump"
    damaged.write_text("nothing")
    engine_only = replace(filled, server=None)
    backup(engine_only, tmp_path / "all.dump")
    with pytest.raises(WarehouseError, match="pg_restore failed"):
        restore(engine_only, damaged)
    lent = """
        select count(*) from pg_auth_members
        where roleid = 'privacy'::regrole and member = current_user::regrole and (inherit_option or set_option)
    """
    with filled.connect() as connection:
        assert connection.execute(lent).fetchone() == (0,)


def test_paths_that_cannot_be_are_named(filled, tmp_path):
    with pytest.raises(WarehouseError, match=r"cannot write into .*nowhere: No such file"):
        backup(filled, tmp_path / "nowhere" / "warehouse.dump")
    with pytest.raises(WarehouseError, match="there is no backup at"):
        restore(filled, Path("nothing.dump"))
