"""When to ask for a load: from what lies in the landing folder, what was asked before, and the time. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

SETTLED_AFTER = timedelta(seconds=5)
# Files that are still there after a run was asked for: it failed, or never started. Ask again, ever more rarely.
FIRST_BACK_OFF = timedelta(minutes=2)
LONGEST_BACK_OFF = timedelta(minutes=30)


@dataclass(frozen=True)
class Waiting:
    """A finished file in the landing folder; modified_at: of its content."""

    name: str
    size: int
    modified_at: datetime


class Cursor(msgspec.Struct, frozen=True):
    """What was asked for last: files by fingerprint, when, and how many times."""

    fingerprint: str = ""
    asked_at: datetime | None = None
    times: int = 0

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """From the sensor's stored text; None before its first tick."""
        return msgspec.json.decode(text, type=cls) if text else cls()

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


@dataclass(frozen=True)
class Decision:
    """run_key: of the run to ask for, None for none; reason: in words; cursor: for the next tick."""

    run_key: str | None
    reason: str
    cursor: Cursor


def decide(waiting: Sequence[Waiting], cursor: Cursor, now: datetime, *, loading: bool) -> Decision:
    """Whether to ask for one run that loads all that waits. loading: whether a load is under way."""
    # A file from a machine whose clock is ahead settles too.
    settled = [file for file in waiting if abs(now - file.modified_at) >= SETTLED_AFTER]
    if not settled:
        return Decision(None, "no settled file waits" if waiting else "no file waits", Cursor())
    if loading:
        return Decision(None, "a load is under way; it may take these files too", cursor)
    fingerprint = _fingerprint(settled)
    times = 1
    if fingerprint == cursor.fingerprint and cursor.asked_at is not None:
        next_at = cursor.asked_at + min(FIRST_BACK_OFF * 2 ** (cursor.times - 1), LONGEST_BACK_OFF)
        if now < next_at:
            return Decision(None, f"a run was asked for; the next one, should they stay, at {next_at:%H:%M:%S}", cursor)
        times = cursor.times + 1
    asked = Cursor(fingerprint, now, times)
    return Decision(f"{fingerprint[:16]}-{now:%Y%m%dT%H%M%S}", f"{len(settled)} files wait", asked)


def _fingerprint(files: Sequence[Waiting]) -> str:
    text = "\n".join(sorted(f"{file.name}\t{file.size}\t{file.modified_at.isoformat()}" for file in files))
    return hashlib.sha256(text.encode()).hexdigest()
