"""The `marketing` command: parses, calls, prints. Exit codes: 0 done, 1 a check or a job failed, 2 wrong usage."""

import atexit
import gc
import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from orchestration.alerts.rules import RulesError
from orchestration.content.desk import DeskError
from orchestration.ingest.landing import WrongUsageError, stray_files
from orchestration.ingest.open_load import LoadReport
from orchestration.installation import Installation
from orchestration.policy import PolicyError
from orchestration.privacy.keys import KeyProblem
from orchestration.processes import ProcessError
from orchestration.progress import IngestProgress
from orchestration.settings import SettingsError, export_env_file
from orchestration.simulate import DEFAULT_DAYS, DEFAULT_PEOPLE, DEFAULT_SEED
from orchestration.simulate import simulate as write_world
from orchestration.transform.project import ProjectError
from orchestration.warehouse import WarehouseError
from orchestration.warehouse.builds import frozen_before as read_frozen_before

from . import alerts, attribution, content, loads, switches, viral, warehouse
from .printing import DEFAULT_WAIT_SECONDS, FAILED, WRONG_USAGE, plain, show, table, tell

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(alerts.app, name="alerts")
app.add_typer(content.app, name="content")
app.add_typer(loads.app, name="loads")
app.add_typer(attribution.app, name="calibration")
app.add_typer(viral.app, name="viral")
app.add_typer(warehouse.app, name="warehouse")
app.command()(attribution.explain)
app.command()(attribution.recalibrate)
app.command()(alerts.monitor)
app.command()(switches.switch)

STATUS_STYLES = {"met": "green", "missed": "red", "no data": "yellow"}


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
    summary = write_world(out, people=people, days=days, seed=seed, until=end, progress=tell)
    rows = table("feed", "lines", "good records", right=("lines", "good records"))
    for feed, lines in summary.lines.items():
        rows.add_row(feed, f"{lines:,}", f"{summary.records[feed]:,}")
    show(rows)
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
            tell(f"left alone in {installation.landing}: {stray}")
    refused = [report for report in reports if report.refused]
    for report in refused:
        tell(f"{report.source}: {report.refused}")
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
    rows = table("feed", *counts, right=counts)
    for feed, numbers in totals.items():
        rows.add_row(feed, *(f"{number:,}" for number in numbers))
    show(rows)
    if any(numbers[-1] for numbers in totals.values()):
        tell("why records were quarantined: select feed, source, line, field, reason from raw.quarantine")


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
        tell(failure)
        raise typer.Exit(FAILED)


@app.command()
def up() -> None:
    """Run warehouse, Dagster UI and daemon until Ctrl-C: files that land are loaded, marts refreshed, unattended."""
    from orchestration.up import up as run

    run(Installation.load(), tell=tell)


@app.command()
def scorecard(as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False) -> None:
    """Show each goal: its value, target, status and period, as of the last published build."""
    from orchestration.transform.scorecard import footnotes, lines
    from orchestration.warehouse.reads import scorecard as read

    with Installation.load().warehouse.connect() as connection:
        goals = read(connection)
    if as_json:
        typer.echo(json.dumps(goals, indent=2, default=plain))
        return
    if not goals:
        typer.echo("Nothing is published yet: marketing ingest, then marketing build.")
        return
    columns = ("goal", "value", "95 % interval", "target", "status", "period")
    rows = table(*columns, right=("value", "95 % interval", "target"))
    for goal, value, interval, target, status, period in lines(goals):
        rows.add_row(goal, value, interval, target, f"[{STATUS_STYLES[status]}]{status}[/]", period)
    show(rows)
    for line in footnotes(goals):
        typer.echo(line)
    typer.echo(f"as of {goals[0]['as_of'].astimezone(UTC):%Y-%m-%d %H:%M} UTC")


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


def main() -> None:
    """Entry of the console script."""
    # What is imported stays to the end: to look for garbage among it would cost a build a quarter of its CPU.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
    export_env_file(os.environ)
    try:
        app()
    except (SettingsError, PolicyError, RulesError, DeskError, WrongUsageError, ProjectError) as error:
        tell(f"marketing: {error}")
        sys.exit(WRONG_USAGE)
    except (WarehouseError, KeyProblem, ProcessError, OSError) as error:
        tell(f"marketing: {error}")
        sys.exit(FAILED)
