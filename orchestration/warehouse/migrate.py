"""Applies the migrations in migrations/versions, in order, in one transaction, one process at a time."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from . import locks
from .errors import WarehouseError

MIGRATIONS = Path(__file__).with_name("migrations")
ROLES = ("analyst", "auditor", "privacy")


@dataclass(frozen=True)
class Status:
    """Revisions with their first docstring line, oldest first."""

    applied: list[tuple[str, str]]
    pending: list[tuple[str, str]]


def status(connection: psycopg.Connection) -> Status:
    """What is applied to the connected warehouse and what is not yet."""
    current = _current(connection)
    steps = [(script.revision, script.doc.splitlines()[0]) for script in reversed(list(_scripts().walk_revisions()))]
    names = [name for name, _ in steps]
    if current is not None and current not in names:
        raise WarehouseError(
            f"this warehouse is at migration {current}, which this version does not know: it ends at {names[-1]}. "
            "Use the version that migrated it, or a newer one"
        )
    done = names.index(current) + 1 if current else 0
    return Status(applied=steps[:done], pending=steps[done:])


def upgrade(connection: psycopg.Connection, sqlalchemy_url: str) -> Status:
    """Apply what is pending under a lock: of several processes at once, one applies and the others find it done.

    sqlalchemy_url: the same database for SQLAlchemy. Raises WarehouseError; then nothing was applied.
    """
    found = status(connection)
    if not found.pending:
        return found
    _check_roles(connection)
    engine = create_engine(sqlalchemy_url, poolclass=NullPool)
    lock = text("select pg_advisory_xact_lock(:namespace, :key)")
    try:
        with engine.begin() as transaction:
            transaction.execute(lock, {"namespace": locks.NAMESPACE, "key": locks.MIGRATION})
            transaction.execute(text("create schema if not exists ops"))
            config = Config()
            # Alembic's configuration expands %(name)s.
            config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = transaction
            command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            user, database = connection.info.user, connection.info.dbname
            raise WarehouseError(
                f"{user} may not migrate the database {database} ({_first_line(error.orig)}): "
                f'have an administrator run  alter database "{database}" owner to "{user}"'
            ) from error
        raise WarehouseError(f"a migration failed, and none was applied: {error.orig}") from error
    return status(connection)


def _check_roles(connection: psycopg.Connection) -> None:
    """Roles are the whole server's: the owner of one database may lack the right to make or lend them."""
    user = connection.info.user
    rights = connection.execute("select rolsuper, rolcreaterole from pg_roles where rolname = current_user").fetchone()
    if rights is None or rights[0]:
        return
    missing = [role for role in ROLES if not _exists(connection, role)]
    remedies = [] if rights[1] else [f"create role {role} nologin" for role in missing]
    # Whoever makes a role may lend it; one made by another must have been lent, for the vault to be given to it.
    lent = rights[1] if "privacy" in missing else _may_become_privacy(connection)
    if not lent:
        remedies.append(f'grant privacy to "{user}" with inherit false, set true')
    if remedies:
        raise WarehouseError(
            f"{user} may not prepare the roles {', '.join(ROLES)}: have an administrator run  {'; '.join(remedies)}"
        )


def _exists(connection: psycopg.Connection, role: str) -> bool:
    return connection.execute("select from pg_roles where rolname = %s", [role]).fetchone() is not None


def _may_become_privacy(connection: psycopg.Connection) -> bool:
    query = "select pg_has_role('privacy', 'SET') or pg_has_role('privacy', 'MEMBER WITH ADMIN OPTION')"
    return connection.execute(query).fetchone() == (True,)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _current(connection: psycopg.Connection) -> str | None:
    if connection.execute("select to_regclass('ops.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("select version_num from ops.alembic_version").fetchone()
    return None if row is None else row[0]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
