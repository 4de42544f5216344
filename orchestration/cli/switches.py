"""`marketing switch`: what alerts and people turned on and off, and how to turn it."""

import getpass
from enum import StrEnum
from typing import Annotated

import typer

from orchestration.installation import Installation
from orchestration.warehouse.switches import SWITCHES, switches, turn

from .printing import NOTHING, show, table

Name = StrEnum("Name", {name: name for name in SWITCHES})


class Position(StrEnum):
    """Where a switch stands."""

    ON = "on"
    OFF = "off"


def switch(
    name: Annotated[Name | None, typer.Argument(help="which one [default: list them]")] = None,
    position: Annotated[Position | None, typer.Argument()] = None,
    reason: Annotated[str, typer.Option(help="why")] = "",
    author: Annotated[str | None, typer.Option(help="who does it [default: this user]")] = None,
) -> None:
    """Show the switches that alerts may turn, or turn one: marketing switch ai_content on --reason "key renewed"."""
    installation = Installation.load()
    if name is None:
        with installation.warehouse.connect() as connection:
            turned = switches(connection)
        rows = table("switch", "stands", "since", "author", "reason", "means")
        for one, meaning in SWITCHES.items():
            last = turned.get(one)
            stands = (Position.ON if last.is_on else Position.OFF) if last else Position.ON
            since = f"{last.changed_at:%Y-%m-%d %H:%M}" if last else NOTHING
            rows.add_row(one, stands, since, last.author if last else NOTHING, last.reason if last else "", meaning)
        show(rows)
        return
    if position is None or not reason:
        raise typer.BadParameter(f"expected: marketing switch {name} on|off --reason WHY")
    with installation.warehouse.connect() as connection:
        is_new = turn(connection, name, on=position is Position.ON, author=author or getpass.getuser(), reason=reason)
    typer.echo(f"{name} is {position}" if is_new else f"{name} was {position} already")
