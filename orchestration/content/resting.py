"""Where the breaker of breaker.py stands: read and moved on in the warehouse, so that no restart forgets it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from orchestration.warehouse import Connection, content_calls
from orchestration.warehouse.switches import AI_CONTENT, Switch, switches, turn

from .breaker import NEVER_OPENED, Breaker, Outcome, Rules, State, next_state

# Who turned the switch off decides who turns it on: what an alert did, a try that succeeds undoes.
BREAKER_AUTHOR = "breaker of content"


def breaker_now(connection: Connection, rules: Rules, tell: Callable[[str], None]) -> Breaker:
    """The breaker, its change stored and told. One process looks at a time: else two would begin a try."""
    with content_calls.deciding(connection):
        now = datetime.now(UTC)
        turned = switches(connection).get(AI_CONTENT)
        is_off_by_alert = turned is not None and turned.is_off_by_alert
        breaker = _held(connection, rules)
        if is_off_by_alert and breaker.state is State.CLOSED:
            # On the same numbers it opens the breaker, too: else nothing would ever try.
            breaker = Breaker(State.OPEN, turned.changed_at, turned.reason, rules.pause_minutes)
        since = breaker.since
        if breaker.state is State.CLOSED:
            since = now - timedelta(minutes=rules.window_minutes)
        found = [Outcome(at, is_validated) for at, is_validated in content_calls.outcomes(connection, since)]
        after = next_state(breaker, found, now, rules)
        if after.state is State.OPEN and _was_turned_on(turned, since=after.since):
            reason = f"{turned.author} turned {AI_CONTENT} on: {turned.reason}"
            after = Breaker(State.HALF_OPEN, now, reason, after.pause_minutes, rules.probes)
        if after.state is not breaker.state:
            content_calls.save_breaker(connection, after.state, after.since, after.reason, after.pause_minutes)
            tell(f"breaker {after.state}: {after.reason}")
            if after.state is State.CLOSED and is_off_by_alert:
                turn(connection, AI_CONTENT, on=True, author=BREAKER_AUTHOR, reason=after.reason)
    return after


def _held(connection: Connection, rules: Rules) -> Breaker:
    held = content_calls.breaker(connection)
    if held is None:
        return NEVER_OPENED
    state = State(held["state"])
    left = rules.probes if state is State.HALF_OPEN else 0
    return Breaker(state, held["since"], held["reason"], held["pause_minutes"], left)


def _was_turned_on(turned: Switch | None, *, since: datetime) -> bool:
    """Whether a person asked for AI after it was given a rest."""
    return turned is not None and turned.is_on and turned.author != BREAKER_AUTHOR and turned.changed_at > since
