"""How commands speak: tables and results on stdout, progress and reasons on stderr, exit codes."""

import sys
from datetime import UTC, datetime
from decimal import Decimal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration.settings import Settings

FAILED, WRONG_USAGE = 1, 2
NOTHING = "-"
DEFAULT_WAIT_SECONDS = 600.0


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines; right: columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def show(rows: Table) -> None:
    """Print a table."""
    # Piped to a program, a table keeps its lines whole.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(rows)


def visible(text: str) -> str:
    """Text of others, which a terminal does not obey: what cannot be printed is told by its code."""
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)


def cell(text: str) -> str:
    """Text of others in a table."""
    return escape(visible(text))


def say(line: str) -> None:
    """A line of the result, which may hold text of others."""
    typer.echo(visible(line))


def tell(line: str) -> None:
    """Say something that is no result."""
    typer.echo(visible(line), err=True)


def must_be_on(settings: Settings, what: str) -> None:
    """End the command where automation is switched off; what: that is not done then."""
    if not settings.marketing_automation_enabled:
        tell(f"MARKETING_AUTOMATION_ENABLED is false: {what}")
        raise typer.Exit(FAILED)


def plain(value: object) -> int | float | str:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value)
