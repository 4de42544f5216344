"""The warehouse as the stages see it: an address, and sessions."""

from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from . import locks, migrate
from .address import libpq_url, sqlalchemy_url
from .errors import WarehouseError
from .files import owners_only
from .profiles import write_profiles
from .server import EmbeddedServer

OLDEST_VERSION = 16
# What every session of the engine relies on, whoever set up the server: dates are UTC days, plans cost no compilation,
# and the statement of a killed client ends instead of keeping its locks until it would answer.
SESSION_DEFAULTS = {"TimeZone": "UTC", "jit": "off", "client_connection_check_interval": "2s"}
APPLICATION_NAME = "marketing"


@dataclass(frozen=True)
class Warehouse:
    """A migrated PostgreSQL database, embedded or external.

    url: libpq URL. dagster_url: SQLAlchemy URL (psycopg2) of the database that holds Dagster's storage.
    server: the embedded server, or None for an external one.
    """

    home: Path
    url: str = field(repr=False)
    dagster_url: str = field(repr=False)
    server: EmbeddedServer | None = None

    @classmethod
    def open(cls, home: Path, url: str | None = None) -> "Warehouse":
        """Start the embedded server when url is None and it is down; apply pending migrations; write profiles.yml.

        home: MARKETING_HOME, made when missing. url: libpq URL of an external server (16 or newer).
        Raises WarehouseError with the remedy.
        """
        home = home.resolve()
        with owners_only():
            home.mkdir(parents=True, exist_ok=True)
        server = None
        if url is None:
            server = EmbeddedServer(home)
            server.start()
            url = server.url
        with connect(url) as connection:
            connection.autocommit = True
            check_version(connection.info.server_version)
            with locks.starting(connection):
                _set_session_defaults(connection)
                dagster_database = _ensure_dagster_database(connection)
            migrate.upgrade(connection, sqlalchemy_url(url, driver="psycopg"))
            with owners_only():
                write_profiles(home, connection)
        return cls(home, url, sqlalchemy_url(url, driver="psycopg2", database=dagster_database), server)

    def connect(self, application_name: str = APPLICATION_NAME, *, autocommit: bool = False) -> psycopg.Connection:
        """A new session, to be used as a context manager: commits at its end, rolls back on an error, closes."""
        return connect(self.url, application_name=application_name, autocommit=autocommit)

    def migrations(self) -> migrate.Status:
        """Applied and pending migrations."""
        with self.connect() as connection:
            return migrate.status(connection)


def connect(url: str, **options) -> psycopg.Connection:
    """psycopg.connect with a name and a time limit. Raises WarehouseError, without the password in it."""
    try:
        return psycopg.connect(url, **{"application_name": APPLICATION_NAME, "connect_timeout": 15, **options})
    except psycopg.OperationalError as error:
        address = libpq_url(url, show_password=False)
        raise WarehouseError(f"the warehouse at {address} does not answer: {str(error).strip()}") from error


def check_version(server_version: int) -> None:
    """server_version: as libpq counts, 160004 for 16.4. Raises WarehouseError when it is too old."""
    major, minor = divmod(server_version, 10_000)
    if major < OLDEST_VERSION:
        raise WarehouseError(f"WAREHOUSE_URL leads to PostgreSQL {major}.{minor}: {OLDEST_VERSION} or newer is needed")


def _set_session_defaults(connection: psycopg.Connection) -> None:
    """Stored with the role, so that dbt's and Dagster's own sessions have them too."""
    for name, value in SESSION_DEFAULTS.items():
        if connection.execute("select current_setting(%s)", [name]).fetchone() == (value,):
            continue
        connection.execute(
            sql.SQL("alter role current_user in database {} set {} = {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(name), sql.Literal(value)
            )
        )


def _ensure_dagster_database(connection: psycopg.Connection) -> str:
    """Dagster's runs, events and schedules have a database of their own beside the warehouse's; returns its name."""
    name = f"{connection.info.dbname}_dagster"
    find = "select has_database_privilege('public', oid, 'connect') from pg_database where datname = %s"
    found = connection.execute(find, [name]).fetchone()
    if found == (False,):
        return name
    try:
        if found is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"Dagster's database {name} is missing and {connection.info.user} may not create it: have an administrator "
            f'run  create database "{name}" owner "{connection.info.user}"'
        ) from error
    connection.execute(sql.SQL("revoke connect on database {} from public").format(sql.Identifier(name)))
    return name
