"""The `marketing` command: parses, calls, prints. Exit codes: 0 done, 1 a check or a job failed, 2 wrong usage."""

import atexit
import gc
import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.ingest.landing import WrongUsageError, stray_files
from orchestration.ingest.open_load import LoadReport
from orchestration.installation import Installation
from orchestration.policy import PolicyError
from orchestration.privacy.keys import KeyProblem
from orchestration.processes import ProcessError
from orchestration.progress import IngestProgress
from orchestration.settings import Settings, SettingsError, export_env_file
from orchestration.simulate import DEFAULT_DAYS, DEFAULT_PEOPLE, DEFAULT_SEED
from orchestration.simulate import simulate as write_world
from orchestration.transform.project import ProjectError
from orchestration.warehouse import WarehouseError, ledger
from orchestration.warehouse.builds import frozen_before as read_frozen_before

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
loads_app = typer.Typer(no_args_is_help=True, help="Loads of feed files, and the held ones among them.")
warehouse_app = typer.Typer(
    no_args_is_help=True, help="The warehouse: embedded PostgreSQL, or the one of WAREHOUSE_URL."
)
app.add_typer(loads_app, name="loads")
app.add_typer(warehouse_app, name="warehouse")

FAILED, WRONG_USAGE = 1, 2
DEFAULT_WAIT_SECONDS = 600.0
STATUS_STYLES = {"met": "green", "missed": "red", "no data": "yellow", "held": "red"}


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _print(table: Table) -> None:
    # Piped to a program, a table keeps its lines whole.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="folder for the feed files and truth.json")],
    people: Annotated[int, typer.Option(min=1, help="seed users; those they bring come on top")] = DEFAULT_PEOPLE,
    days: Annotated[
        int, typer.Option(min=1, max=3650, help="length of the period; history before it is drawn too")
    ] = DEFAULT_DAYS,
    seed: Annotated[int, typer.Option(min=0, help="the same seed draws the same bytes")] = DEFAULT_SEED,
    until: Annotated[datetime | None, typer.Option(help="end of the period, UTC [default: today, 00:00]")] = None,
) -> None:
    """Draw a world with known truth and write its feed files."""
    end = until or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    end = end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
    summary = write_world(out, people=people, days=days, seed=seed, until=end, progress=_tell)
    table = _table("feed", "lines", "good records", right=("lines", "good records"))
    for feed, lines in summary.lines.items():
        table.add_row(feed, f"{lines:,}", f"{summary.records[feed]:,}")
    _print(table)
    typer.echo(f"{summary.users:,} users, K {summary.k:.3f} in this draw; the truth is in {summary.truth}")


@app.command()
def ingest(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="feed files or folders, laid out <feed>/<file> [default: the landing folder]"),
    ] = None,
    requeue: Annotated[bool, typer.Option("--requeue", help="try quarantined records again, after a fix")] = False,
) -> None:
    """Load feed files into raw: a row for each feed, and what was wrong."""
    from orchestration.ingest.loader import load
    from orchestration.ingest.requeue import requeue as try_again

    if requeue and paths:
        raise typer.BadParameter("--requeue takes no PATH: it tries what is in quarantine")
    installation = Installation.load()
    now = datetime.now(UTC)
    with installation.warehouse.connect() as connection:
        frozen_before = read_frozen_before(connection)
    arguments = {"personal_data": installation.personal_data, "now": now, "frozen_before": frozen_before}
    if requeue:
        reports = try_again(installation.warehouse, **arguments)
    else:
        with IngestProgress() as progress:
            reports = load(
                installation.warehouse, paths or [], landing=installation.landing, progress=progress, **arguments
            )
    _print_loads(reports)
    if not paths and not requeue:
        for stray in stray_files(installation.landing):
            _tell(f"left alone in {installation.landing}: {stray}")
    refused = [report for report in reports if report.refused]
    for report in refused:
        _tell(f"{report.source}: {report.refused}")
    if refused:
        raise typer.Exit(FAILED)


def _print_loads(reports: Sequence[LoadReport]) -> None:
    """Totals by feed; a feed with quarantined records says where they are."""
    if not reports:
        typer.echo("nothing waits to be loaded")
        return
    counts = ("read", "inserted", "duplicate", "conflicting", "quarantined")
    totals: dict[str, list[int]] = {}
    for report in reports:
        feed = totals.setdefault(report.feed, [0] * len(counts))
        for index, name in enumerate(("records_read", *counts[1:])):
            feed[index] += getattr(report, name)
    table = _table("feed", *counts, right=counts)
    for feed, numbers in totals.items():
        table.add_row(feed, *(f"{number:,}" for number in numbers))
    _print(table)
    if any(numbers[-1] for numbers in totals.values()):
        _tell("why records were quarantined: select feed, source, line, field, reason from raw.quarantine")


@loads_app.command("list")
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
    table = _table("load", "feed", "status", "loaded at", *counts, "published", "source", right=("load", *counts))
    for load in found:
        table.add_row(
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
    _print(table)
    # However old: a hold ends by nobody but a person.
    for load in held:
        typer.echo(f"load {load.load_id} of {load.feed} is held: {load.reason}")
    if held:
        typer.echo("marketing loads accept ID (it was right) or withdraw ID (it was wrong) ends a hold")


@loads_app.command()
def accept(ids: Annotated[list[int], typer.Argument(metavar="ID…")]) -> None:
    """Show held loads to the next build: a person says that they are right."""
    with Installation.load().warehouse.connect() as connection, connection.transaction():
        for load_id in ids:
            ledger.accept(connection, load_id)
    _tell(f"accepted: {', '.join(map(str, ids))}; the next build shows them")


@loads_app.command()
def withdraw(ids: Annotated[list[int], typer.Argument(metavar="ID…")]) -> None:
    """Take held loads back, as if they had never come; their files may be sent again."""
    with Installation.load().warehouse.connect() as connection, connection.transaction():
        for load_id in ids:
            ledger.withdraw(connection, load_id)
    _tell(f"withdrawn: {', '.join(map(str, ids))}")


@app.command()
def build(
    select: Annotated[
        list[str] | None,
        typer.Option(help="dbt selection: build these into candidate and stop there, for work on a model"),
    ] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="build everything anew")] = False,
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for another build")] = DEFAULT_WAIT_SECONDS,
) -> None:
    """Transform, audit and publish: the job that Dagster runs unattended."""
    installation = Installation.load()
    from orchestration.definitions import run_refresh

    failure = run_refresh(installation, select=select or [], full_refresh=full_refresh, wait_seconds=wait)
    if failure is not None:
        _tell(failure)
        raise typer.Exit(FAILED)


@app.command()
def up() -> None:
    """Run warehouse, Dagster UI and daemon until Ctrl-C: files that land are loaded, marts refreshed, unattended."""
    from orchestration.up import up as run

    run(Installation.load(), tell=_tell)


@app.command()
def scorecard(as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False) -> None:
    """Show each goal: its value, target, status and period, as of the last published build."""
    from orchestration.transform.scorecard import lines
    from orchestration.warehouse.reads import scorecard as read

    with Installation.load().warehouse.connect() as connection:
        rows = read(connection)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=_plain))
        return
    if not rows:
        typer.echo("Nothing is published yet: marketing ingest, then marketing build.")
        return
    table = _table("goal", "value", "target", "status", "period", right=("value", "target"))
    for goal, value, target, status, period in lines(rows):
        table.add_row(goal, value, target, f"[{STATUS_STYLES[status]}]{status}[/]", period)
    _print(table)
    typer.echo(f"as of {rows[0]['as_of'].astimezone(UTC):%Y-%m-%d %H:%M} UTC")


def _plain(value: object) -> int | float | str:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value)


@app.command()
def env() -> None:
    """Print the exports by which dagster, dbt and psql find this installation: eval "$(marketing env)"."""
    from orchestration.instance import write_instance

    installation = Installation.load()
    warehouse = installation.warehouse
    for name, value in {
        "MARKETING_HOME": warehouse.home,
        "DAGSTER_HOME": write_instance(warehouse, installation.policy),
        "DBT_PROFILES_DIR": warehouse.home,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }.items():
        typer.echo(f"export {name}={shlex.quote(str(value))}")


@warehouse_app.command()
def url() -> None:
    """Print the warehouse's libpq URL, starting the server when it is down: psql "$(marketing warehouse url)"."""
    typer.echo(Installation.load().warehouse.url)


@warehouse_app.command()
def start() -> None:
    """Start the server and apply pending migrations."""
    installation = Installation.load()
    warehouse = installation.warehouse
    _tell(f"the warehouse is up; its files are in {warehouse.home}")


@warehouse_app.command()
def stop() -> None:
    """Stop the embedded server."""
    from orchestration.warehouse.server import EmbeddedServer

    settings = Settings.load()
    if settings.warehouse_url is not None:
        _tell("WAREHOUSE_URL names an external server: it is not ours to stop")
        raise typer.Exit(FAILED)
    EmbeddedServer(settings.marketing_home).stop()


@warehouse_app.command()
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
    table = _table("migration", "status", "what it brings")
    for state, migrations in (("applied", found.migrations.applied), ("pending", found.migrations.pending)):
        for revision, message in migrations:
            table.add_row(revision, state, message)
    _print(table)


@warehouse_app.command()
def backup(file: Annotated[Path, typer.Argument(help="where to write it")]) -> None:
    """Write the whole warehouse to FILE."""
    from orchestration.warehouse.backup import backup as write

    typer.echo(f"written: {write(Installation.load().warehouse, file)}")


@warehouse_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="a file that backup wrote", exists=True, dir_okay=False)],
) -> None:
    """Put the warehouse back to the state of FILE."""
    from orchestration.warehouse.backup import restore as read

    read(Installation.load().warehouse, file)
    typer.echo(f"restored from {file}")


def main() -> None:
    """Entry of the console script."""
    # What is imported stays to the end: to look for garbage among it would cost a build a quarter of its CPU.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
    export_env_file(os.environ)
    try:
        app()
    except (SettingsError, PolicyError, WrongUsageError, ProjectError) as error:
        _tell(f"marketing: {error}")
        sys.exit(WRONG_USAGE)
    except (WarehouseError, KeyProblem, ProcessError, OSError) as error:
        _tell(f"marketing: {error}")
        sys.exit(FAILED)
