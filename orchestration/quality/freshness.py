"""[pure] Whether feeds still send, and when there is something to say about it.

Judged by the ledger of loads, not by Dagster's own record of materialisations: files are also loaded from a
terminal, of which Dagster hears nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# How often states are told again although none has changed, so that the UI shows a recent evaluation.
RETELL_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Freshness:
    """One feed's state. latest_at: end of its last load; late: whether that is longer ago than allowed."""

    feed: str
    latest_at: datetime
    late: bool


def freshness_of(arrivals: Mapping[str, datetime], now: datetime, max_age_hours: int) -> list[Freshness]:
    """The state of each feed that ever had a load (feed to the end of its last one)."""
    allowed = timedelta(hours=max_age_hours)
    return [Freshness(feed, latest, now - latest > allowed) for feed, latest in sorted(arrivals.items())]


def news(states: list[Freshness], cursor: str | None, now: datetime) -> tuple[list[Freshness], str | None]:
    """The states that a sensor should tell, and its next cursor: those that changed, or all after RETELL_AFTER.

    A new load is a change: Dagster takes what was told before it for outdated.
    """
    told = json.loads(cursor) if cursor else {"at": None, "states": {}}
    now_told = {state.feed: [state.late, state.latest_at.isoformat()] for state in states}
    changed = [state for state in states if told["states"].get(state.feed) != now_told[state.feed]]
    if told["at"] is None or now - datetime.fromisoformat(told["at"]) >= RETELL_AFTER:
        changed, told["at"] = states, now.isoformat()
    if not changed:
        return [], cursor
    return changed, json.dumps({"at": told["at"], "states": now_told})
