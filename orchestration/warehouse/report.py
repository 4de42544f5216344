"""How the warehouse is, without starting or changing it."""

from dataclasses import dataclass
from pathlib import Path

from . import migrate
from .address import libpq_url
from .server import EmbeddedServer
from .warehouse import connect


@dataclass(frozen=True)
class Report:
    """kind: embedded or external. address: libpq URL without password, None before the first start.

    server_version: for example "18.4"; it and migrations are None while the server is down.
    """

    kind: str
    running: bool
    address: str | None = None
    data_dir: Path | None = None
    server_version: str | None = None
    migrations: migrate.Status | None = None


def report(home: Path, url: str | None = None) -> Report:
    """The state of the warehouse that Warehouse.open(home, url) would open.

    Raises WarehouseError when an external server does not answer; an embedded one that is down is no error.
    """
    data_dir = None
    if url is None:
        server = EmbeddedServer(home)
        data_dir = server.data_dir
        if not data_dir.exists():
            return Report("embedded", running=False, data_dir=data_dir)
        url = server.url
        if not server.is_running():
            return Report("embedded", running=False, address=libpq_url(url, show_password=False), data_dir=data_dir)
    with connect(url) as connection:
        version = connection.info.parameter_status("server_version") or ""
        return Report(
            kind="external" if data_dir is None else "embedded",
            running=True,
            address=libpq_url(url, show_password=False),
            data_dir=data_dir,
            server_version=version.partition(" ")[0],
            migrations=migrate.status(connection),
        )
