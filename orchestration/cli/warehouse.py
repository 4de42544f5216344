"""`marketing warehouse`: the PostgreSQL beneath."""

from pathlib import Path
from typing import Annotated

import typer

from orchestration.installation import Installation
from orchestration.settings import Settings

from .printing import FAILED, show, table, tell

app = typer.Typer(no_args_is_help=True, help="The warehouse: embedded PostgreSQL, or the one of WAREHOUSE_URL.")


@app.command()
def url() -> None:
    """Print the warehouse's libpq URL, starting the server when it is down: psql "$(marketing warehouse url)"."""
    typer.echo(Installation.load().warehouse.url)


@app.command()
def start() -> None:
    """Start the server and apply pending migrations."""
    installation = Installation.load()
    warehouse = installation.warehouse
    tell(f"the warehouse is up; its files are in {warehouse.home}")


@app.command()
def stop() -> None:
    """Stop the embedded server."""
    from orchestration.warehouse.server import EmbeddedServer

    settings = Settings.load()
    if settings.warehouse_url is not None:
        tell("WAREHOUSE_URL names an external server: it is not ours to stop")
        raise typer.Exit(FAILED)
    EmbeddedServer(settings.marketing_home).stop()


@app.command()
def status() -> None:
    """Say whether the warehouse is up, and list applied and pending migrations."""
    from orchestration.warehouse.report import report

    settings = Settings.load()
    found = report(settings.marketing_home, settings.warehouse_url)
    state = f"up, PostgreSQL {found.server_version}" if found.running else "down"
    typer.echo(f"{found.kind} warehouse: {state}")
    if found.address:
        typer.echo(f"address: {found.address}")
    if found.data_dir:
        typer.echo(f"data: {found.data_dir}")
    if found.migrations is None:
        return
    rows = table("migration", "status", "what it brings")
    for state, migrations in (("applied", found.migrations.applied), ("pending", found.migrations.pending)):
        for revision, message in migrations:
            rows.add_row(revision, state, message)
    show(rows)


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="where to write it")]) -> None:
    """Write the whole warehouse to FILE."""
    from orchestration.warehouse.backup import backup as write

    typer.echo(f"written: {write(Installation.load().warehouse, file)}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="a file that backup wrote", exists=True, dir_okay=False)],
) -> None:
    """Put the warehouse back to the state of FILE."""
    from orchestration.warehouse.backup import restore as read

    read(Installation.load().warehouse, file)
    typer.echo(f"restored from {file}")
