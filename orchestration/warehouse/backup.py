"""Copies of the warehouse in one file: pg_dump's custom format, restored whole or not at all.

A backup holds the warehouse's database: not Dagster's history, not the server's logins, and not the keys
under MARKETING_HOME/keys, without which its pseudonyms and its vault are of no use: keep those apart.
"""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from . import migrate
from .address import database_name, libpq_url, sqlalchemy_url
from .binaries import client_installation
from .errors import WarehouseError
from .locks import BuildLock
from .warehouse import Warehouse, connect

MAINTENANCE_DATABASE = "postgres"
SWAP_ATTEMPTS = 5


def backup(warehouse: Warehouse, path: Path) -> Path:
    """Write the warehouse to path (mode 0600), which appears only when complete; returns it, absolute.

    Consistent as of one instant, while builds and loads go on. Raises WarehouseError.
    """
    path = path.absolute()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise WarehouseError(f"cannot write into {path.parent}: {error.strerror}") from error
    os.close(handle)
    unfinished = Path(name)
    url = _privileged_url(warehouse)
    try:
        with connect(url, application_name="marketing backup", autocommit=True) as session, _lent_vault(session):
            source = libpq_url(url, show_password=False)
            _run("pg_dump", session, "--format=custom", f"--file={unfinished}", f"--dbname={source}")
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def restore(warehouse: Warehouse, path: Path) -> None:
    """Replace the warehouse's content by that of a backup, with the migrations made since applied.

    The backup goes into a new database, which takes the old one's place in one transaction: a failure
    or a kill before that leaves everything as it was. Sessions in the old database are ended then.
    Raises BuildRunningError while a build runs, WarehouseError for all else.
    """
    if not path.is_file():
        raise WarehouseError(f"there is no backup at {path}")
    url = _privileged_url(warehouse)
    database = database_name(url)
    new, old = (f"{database}_{word}_{secrets.token_hex(4)}" for word in ("restoring", "replaced"))
    with (
        connect(libpq_url(url, database=MAINTENANCE_DATABASE), autocommit=True) as admin,
        warehouse.connect("marketing restore", autocommit=True) as session,
        BuildLock(session) as lock,
        _lent_vault(admin),
    ):
        lock.take(wait_seconds=0)
        _drop_leftovers(admin, database)
        _create_like(admin, new, like=database)
        try:
            target = libpq_url(url, database=new, show_password=False)
            try:
                _run("pg_restore", admin, "--exit-on-error", "--jobs=2", f"--dbname={target}", str(path))
            except WarehouseError as error:
                raise WarehouseError(f"{path} cannot be restored; was it written by backup, whole? {error}") from error
            _migrate(libpq_url(warehouse.url, database=new), path)
            session.close()
            _swap(admin, database, new, old)
        except BaseException:
            _drop(admin, new)
            raise
        _drop(admin, old)
    Warehouse.open(warehouse.home, warehouse.url)


def _privileged_url(warehouse: Warehouse) -> str:
    """The vault is closed to the engine: the embedded server's superuser copies it, or whoever WAREHOUSE_URL names."""
    if warehouse.server is None:
        return warehouse.url
    return warehouse.server.admin_url(database_name(warehouse.url))


@contextmanager
def _lent_vault(session: psycopg.Connection) -> Iterator[None]:
    """Let a user who is no superuser, but made the privacy role, read the vault for this long.

    A kill leaves the membership in place until the next backup or restore ends.
    """
    user = session.info.user
    rights = session.execute(
        """
        select rolsuper, pg_has_role('privacy', 'MEMBER WITH ADMIN OPTION') from pg_roles where rolname = current_user
        """
    ).fetchone()
    is_superuser, may_lend = rights or (False, False)
    if is_superuser:
        yield
        return
    if not may_lend:
        raise WarehouseError(
            f"{user} may not copy the vault: run this one command with the WAREHOUSE_URL of a superuser, "
            f'or have an administrator run  grant privacy to "{user}" with admin option'
        )
    lend = sql.SQL("grant privacy to {} with inherit true, set true").format(sql.Identifier(user))
    take_back = sql.SQL("revoke privacy from {}").format(sql.Identifier(user))
    try:
        session.execute(lend)
        yield
    finally:
        session.execute(take_back)


def _run(program: str, session: psycopg.Connection, *arguments: str) -> None:
    """Run the wheel's client program for the session's server, as the session's user.

    A newer pg_restore than the server sends settings that the server does not know. The password goes
    through the environment, which `ps` does not show.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if session.info.password:
        environment["PGPASSWORD"] = session.info.password
    programs = client_installation(session.info.server_version // 10_000)
    command = [programs / "bin" / program, "--no-password", *arguments]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise WarehouseError(f"{program} failed: {done.stderr.strip()}")


def _migrate(url: str, path: Path) -> None:
    with connect(url, autocommit=True) as connection:
        if not migrate.status(connection).applied:
            raise WarehouseError(f"{path} is a backup of something else: it holds no migrated warehouse")
        migrate.upgrade(connection, sqlalchemy_url(url, driver="psycopg"))


def _create_like(admin: psycopg.Connection, name: str, *, like: str) -> None:
    """A database with the owner, encoding and sorting of another. (The locale has no name of its own before 17.)"""
    locale = "datlocale" if admin.info.server_version >= 170_000 else "daticulocale"
    row = admin.execute(
        sql.SQL(
            "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider, {} "
            "from pg_database where datname = %s"
        ).format(sql.Identifier(locale)),
        [like],
    ).fetchone()
    if row is None:
        raise WarehouseError(f"the database {like} is gone")
    owner, encoding, collate, ctype, provider, locale_name = row
    command = sql.SQL("create database {} template template0 owner {} encoding {} lc_collate {} lc_ctype {}").format(
        sql.Identifier(name), sql.Identifier(owner), encoding, collate, ctype
    )
    command += {
        "c": sql.SQL(" locale_provider libc"),
        "i": sql.SQL(" locale_provider icu icu_locale {}").format(locale_name),
        "b": sql.SQL(" locale_provider builtin builtin_locale {}").format(locale_name),
    }[provider]
    try:
        admin.execute(command)
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"{admin.info.user} may not create the database to restore into ({error.diag.message_primary}): "
            "run this one command with the WAREHOUSE_URL of a superuser"
        ) from error


def _swap(admin: psycopg.Connection, database: str, new: str, old: str) -> None:
    rename = sql.SQL("alter database {} rename to {}")
    for attempt in range(1, SWAP_ATTEMPTS + 1):
        try:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and usename is not null",
                [database],
            )
            with admin.transaction():
                admin.execute(rename.format(sql.Identifier(database), sql.Identifier(old)))
                admin.execute(rename.format(sql.Identifier(new), sql.Identifier(database)))
        except psycopg.errors.ObjectInUse as error:
            if attempt == SWAP_ATTEMPTS:
                raise WarehouseError(
                    f"sessions keep coming back to {database}, and nothing was restored: end what uses it "
                    "(`make up`, the HTTP API) and try again"
                ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise WarehouseError(
                f"others use {database}, and nothing was restored: end their sessions and try again "
                f"({error.diag.message_primary})"
            ) from error
        else:
            return


def _drop_leftovers(admin: psycopg.Connection, database: str) -> None:
    """Databases of a restore that was killed. The build lock is held: none is of a restore under way."""
    rows = admin.execute(
        """
        select datname from pg_database
        where starts_with(datname, %s) and datname ~ '_(restoring|replaced)_[0-9a-f]{8}$'
        """,
        [f"{database}_re"],
    )
    for (name,) in rows.fetchall():
        _drop(admin, name)


def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _sync(path: Path) -> None:
    """Make a file, or the entries of a directory, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
