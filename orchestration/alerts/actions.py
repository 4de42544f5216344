"""What a firing rule does besides telling its own channels: once for an incident, and kept in ops.alert_actions."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from orchestration.warehouse import Connection
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.switches import AI_CONTENT, alert_author, turn

from .routing import TEAMS, Contact, Incident, Kind
from .rules import Action, Rule


def act(
    connection: Connection,
    rule: Rule,
    incident: Incident,
    channels: Sequence[str],
    contacts: Mapping[str, Contact],
    now: datetime,
) -> None:
    """Do what the rule asks for, in the transaction of its first message. channels: to which that goes.

    A recalibration is only asked for here: attribution's sensor sees it, and its job stores what came of it. A switch
    that was turned off is on again when a person says so, or the breaker of content after a try that succeeded.
    """
    if rule.action is None or incident.kind is not Kind.THRESHOLD:
        return
    # What is over by now is told, and needs nothing done.
    if incident.closed_at is not None and rule.action not in TEAMS:
        return
    if not stored.ask_action(connection, incident.incident_id, rule.action.value, now):
        return
    if rule.action in TEAMS:
        team = TEAMS[rule.action]
        own = contacts.get(team, Contact()).channels
        # It is not sent yet; whether it arrives stands in the outbox.
        outcome = f"{team}: message stored for {', '.join(channels)}"
        outcome += "" if own else f"; {team} has no channel of its own"
    elif rule.action is Action.DISABLE_AI_FALLBACK_MANUAL:
        reason = f"incident {incident.incident_id}: {rule.summary}"
        was_on = turn(connection, AI_CONTENT, on=False, author=alert_author(rule.name), reason=reason)
        outcome = f"{AI_CONTENT} switched off" if was_on else f"{AI_CONTENT} was off"
    else:
        return
    stored.action_done(connection, incident.incident_id, rule.action.value, outcome)
