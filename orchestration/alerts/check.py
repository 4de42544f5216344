"""Judges every rule, and stores what changed together with the messages that tell of it.

`look` only reads; `store` judges again under a lock, so that of two that store at once, or of one that is killed and
started again, each change is told once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import alerts as stored

from .evaluation import Change, Evaluation, Sample, Standing, State, evaluate
from .messages import dedup_key, message_of
from .routing import Contact, Incident, Kind, Silence, Told, is_inhibited, is_silenced, told_now
from .rules import Rule

APPLICATION = "marketing alerts"
KINDS = {
    Change.FIRED: Kind.THRESHOLD,
    Change.RESOLVED: Kind.THRESHOLD,
    Change.DATA_LOST: Kind.DATA,
    Change.DATA_BACK: Kind.DATA,
}
OPENS = frozenset({Change.FIRED, Change.DATA_LOST})


@dataclass(frozen=True)
class Look:
    """What each rule says now, and what is to be stored of it: changes, standings, messages that are due."""

    evaluations: Mapping[str, Evaluation]
    changed: Sequence[str]
    due: Sequence[Told]
    silenced: frozenset[str]

    @property
    def is_news(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.changed or self.due)

    def state(self, rule: str) -> State:
        """As it is shown."""
        return State.SILENCED if rule in self.silenced else self.evaluations[rule].state


def look(connection: Connection, rules: Sequence[Rule], contacts: Mapping[str, Contact], now: datetime) -> Look:
    """Judge the rules as of now, storing nothing. Changes found only now count among `due` once they are stored."""
    judged = _judge(connection, rules, now)
    return replace(judged, due=_due(connection, rules, contacts, judged.silenced, now))


def store(
    warehouse: Warehouse,
    rules: Sequence[Rule],
    contacts: Mapping[str, Contact],
    now: datetime,
    *,
    link: str | None = None,
) -> Look:
    """Judge the rules and store what changed, with a message for each channel, in one transaction; returns what was
    stored: `due` holds the messages. link: to where people find more."""
    with warehouse.connect(APPLICATION) as connection:
        stored.only_one_stores(connection)
        found = _judge(connection, rules, now)
        by_name = {rule.name: rule for rule in rules}
        for name in found.changed:
            _change(connection, by_name[name], found.evaluations[name])
        _close_orphans(connection, by_name, now)
        due = _due(connection, rules, contacts, found.silenced, now)
        for told in due:
            _write(connection, by_name[told.incident.rule], found.evaluations[told.incident.rule], told, now, link)
        return replace(found, due=due)


def _judge(connection: Connection, rules: Sequence[Rule], now: datetime) -> Look:
    """What the rules say and what of it is new; whom it tells is not asked yet."""
    evaluations, changed = {}, []
    for rule in rules:
        known = [Sample(**row) for row in stored.samples(connection, rule.metric, now - rule.looks_back, now)]
        standing = _standing(connection, rule)
        evaluations[rule.name] = evaluate(rule, known, standing, now)
        if evaluations[rule.name].standing != standing:
            changed.append(rule.name)
    silences = [Silence(**row) for row in stored.silences(connection, now)]
    silenced = frozenset(rule.name for rule in rules if is_silenced(rule.name, silences, now))
    return Look(evaluations, changed, (), silenced)


def _standing(connection: Connection, rule: Rule) -> Standing:
    row = stored.standing(connection, rule.name)
    return Standing(**row | {"data": State(row["data"]) if row["data"] else None}) if row else Standing()


def _change(connection: Connection, rule: Rule, evaluation: Evaluation) -> None:
    for transition in evaluation.transitions:
        kind = KINDS[transition.change]
        if transition.change in OPENS:
            stored.open_incident(connection, rule.name, kind, rule.severity, transition.at)
        else:
            stored.close_incident(connection, rule.name, kind, transition.at)
    stored.save_standing(connection, rule.name, asdict(evaluation.standing))


def _close_orphans(connection: Connection, rules: Mapping[str, Rule], now: datetime) -> None:
    """A rule that was taken out of the file can never say that it is over."""
    for row in stored.unsettled_incidents(connection):
        if row["rule"] not in rules and row["closed_at"] is None:
            stored.close_incident(connection, row["rule"], row["kind"], now)
            stored.save_standing(connection, row["rule"], asdict(Standing()))


def _due(
    connection: Connection,
    rules: Sequence[Rule],
    contacts: Mapping[str, Contact],
    silenced: frozenset[str],
    now: datetime,
) -> list[Told]:
    by_name = {rule.name: rule for rule in rules}
    incidents = [
        Incident(**row | {"kind": Kind(row["kind"])})
        for row in stored.unsettled_incidents(connection)
        if row["rule"] in by_name
    ]
    opened: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        if incident.closed_at is None:
            opened[incident.rule].append(incident)
    found = []
    for incident in incidents:
        rule = by_name[incident.rule]
        is_muted = rule.name in silenced or is_inhibited(rule, opened)
        told = told_now(incident, rule, contacts.get(rule.owner, Contact()), is_muted=is_muted, now=now)
        if told is not None:
            found.append(told)
    return found


def _write(
    connection: Connection, rule: Rule, evaluation: Evaluation, told: Told, now: datetime, link: str | None
) -> None:
    message = message_of(
        rule, told.incident, told.reason, sample=evaluation.latest, data=evaluation.standing.data, link=link
    )
    channels = list(told.channels)
    if told.incident.closed_at is not None:
        # Whoever heard of it hears of its end, whatever rule and contacts say by now.
        channels = list(dict.fromkeys([*channels, *stored.channels_told(connection, told.incident.incident_id)]))
    rows = [
        stored.NewMessage(
            incident_id=told.incident.incident_id,
            reason=told.reason.value,
            channel=channel,
            dedup_key=dedup_key(told.incident),
            severity=rule.severity.value,
            is_over=told.incident.closed_at is not None,
            title=message.title,
            body=message.body,
            fields=message.fields,
        )
        for channel in channels
    ]
    stored.write_messages(connection, rows, now)
