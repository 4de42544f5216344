"""`marketing loads`: what was loaded, and the end of a hold."""

from datetime import UTC
from typing import Annotated

import typer

from orchestration.installation import Installation
from orchestration.warehouse import ledger

from .printing import show, table, tell

app = typer.Typer(no_args_is_help=True, help="Loads of feed files, and the held ones among them.")
STATUS_STYLES = {"held": "red"}


@app.command("list")
def list_loads(
    status: Annotated[str | None, typer.Option(help="loaded, held, accepted or withdrawn [default: all]")] = None,
    limit: Annotated[int, typer.Option(min=1, help="newest so many")] = 50,
) -> None:
    """List loads, newest first, with the reason why one is held."""
    if status not in (None, "loaded", "held", "accepted", "withdrawn"):
        raise typer.BadParameter(f"found {status!r}, expected loaded, held, accepted or withdrawn")
    with Installation.load().warehouse.connect() as connection:
        found = ledger.loads(connection, status=status, limit=limit)
        held = ledger.loads(connection, status="held")
    counts = ("read", "inserted", "quarantined")
    rows = table("load", "feed", "status", "loaded at", *counts, "published", "source", right=("load", *counts))
    for load in found:
        rows.add_row(
            str(load.load_id),
            load.feed,
            f"[{STATUS_STYLES.get(load.status, 'default')}]{load.status}[/]",
            f"{load.finished_at.astimezone(UTC):%Y-%m-%d %H:%M}",
            f"{load.records_read:,}",
            f"{load.inserted:,}",
            f"{load.quarantined:,}",
            "-" if load.published_build_id is None else f"build {load.published_build_id}",
            load.source,
        )
    show(rows)
    # However old: a hold ends by nobody but a person.
    for load in held:
        typer.echo(f"load {load.load_id} of {load.feed} is held: {load.reason}")
    if held:
        typer.echo("marketing loads accept ID (it was right) or withdraw ID (it was wrong) ends a hold")


@app.command()
def accept(ids: Annotated[list[int], typer.Argument(metavar="ID…")]) -> None:
    """Show held loads to the next build: a person says that they are right."""
    with Installation.load().warehouse.connect() as connection, connection.transaction():
        for load_id in ids:
            ledger.accept(connection, load_id)
    tell(f"accepted: {', '.join(map(str, ids))}; the next build shows them")


@app.command()
def withdraw(ids: Annotated[list[int], typer.Argument(metavar="ID…")]) -> None:
    """Take held loads back, as if they had never come; their files may be sent again."""
    with Installation.load().warehouse.connect() as connection, connection.transaction():
        for load_id in ids:
            ledger.withdraw(connection, load_id)
    tell(f"withdrawn: {', '.join(map(str, ids))}")
