"""Switches that alerts and people turn while everything runs; those of the environment are in settings.py."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

AI_CONTENT = "ai_content"
SWITCHES = {AI_CONTENT: "jobs write content; off: every brief goes to the manual queue"}


@dataclass(frozen=True)
class Switch:
    """The latest change of a switch."""

    switch: str
    is_on: bool
    author: str
    reason: str
    changed_at: datetime


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
