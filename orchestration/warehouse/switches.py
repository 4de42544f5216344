"""Switches that alerts and people turn while everything runs; those of the environment are in settings.py."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

AI_CONTENT = "ai_content"
ALERT = "alert "
SWITCHES = {AI_CONTENT: "jobs write content; off: every brief goes to the manual queue"}


@dataclass(frozen=True)
class Switch:
    """The latest change of a switch."""

    switch: str
    is_on: bool
    author: str
    reason: str
    changed_at: datetime

    @property
    def is_off_by_alert(self) -> bool:
        """Whether an alert turned it off, and nobody on again."""
        return not self.is_on and self.author.startswith(ALERT)


def alert_author(rule: str) -> str:
    """Who a change is by that an alert makes."""
    return f"{ALERT}{rule}"


def switches(connection: psycopg.Connection) -> dict[str, Switch]:
    """Those that were ever turned; all others are on."""
    with connection.cursor(row_factory=class_row(Switch)) as cursor:
        found = cursor.execute("select switch, is_on, author, reason, changed_at from ops.switches")
        return {one.switch: one for one in found}


def is_on(connection: psycopg.Connection, switch: str) -> bool:
    """Whether a switch of SWITCHES is on."""
    found = switches(connection).get(switch)
    return found is None or found.is_on


def turn(connection: psycopg.Connection, switch: str, *, on: bool, author: str, reason: str) -> bool:
    """Turn a switch, keeping who did it and why; False, and nothing, where it stands so already."""
    if is_on(connection, switch) == on:
        return False
    connection.execute(
        "insert into ops.switch_changes (switch, is_on, author, reason) values (%s, %s, %s, %s)",
        [switch, on, author, reason],
    )
    return True
