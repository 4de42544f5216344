"""Judges every rule, and stores what changed together with the messages that tell of it.

`look` only reads; `store` judges again under a lock, so that of two that store at once, or of one that is killed and
started again, each change is told once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.metric_samples import samples

from .actions import act
from .evaluation import Change, Evaluation, Sample, Standing, State, evaluate
from .messages import dedup_key, message_of, message_without_rule
from .routing import (
    CLOSING,
    OPENING,
    Contact,
    Incident,
    Kind,
    Silence,
    Told,
    explained_by,
    firing_rules,
    told_now,
)
from .rules import Rule, Severity

APPLICATION = "marketing alerts"
KINDS = {
    Change.FIRED: Kind.THRESHOLD,
    Change.RESOLVED: Kind.THRESHOLD,
    Change.DATA_LOST: Kind.DATA,
    Change.DATA_BACK: Kind.DATA,
}


@dataclass(frozen=True)
class Look:
    """What each rule says now, and what is to be stored of it: changed, rules that stand otherwise, or are no more with
    an incident open; decided, rules that could be judged for the first time, of which nobody hears; due, messages.
    silences: rule -> those that hold for it; explained: rule -> the rules that fire and explain it."""

    evaluations: Mapping[str, Evaluation]
    changed: Sequence[str]
    decided: Sequence[str]
    due: Sequence[Told]
    silences: Mapping[str, Sequence[Silence]]
    explained: Mapping[str, Sequence[str]]

    def state(self, rule: str) -> State:
        """As it is shown."""
        return State.SILENCED if self.silences[rule] else self.evaluations[rule].state


@dataclass(frozen=True)
class Links:
    """Where people find more. ui: address of the Dagster UI; run_id: the run that tells, for samples that name none."""

    ui: str | None = None
    run_id: str | None = None

    def of(self, sample: Sample | None) -> str | None:
        """The run that a sample speaks of."""
        run_id = (sample.run_id if sample else None) or self.run_id
        return f"{self.ui}/runs/{run_id}" if self.ui and run_id else self.ui


NOWHERE = Links()


def look(
    connection: Connection,
    rules: Sequence[Rule],
    contacts: Mapping[str, Contact],
    now: datetime,
    *,
    resting: frozenset[str] = frozenset(),
) -> Look:
    """Judge the rules as of now, storing nothing. Changes found only now count among `due` once they are stored.

    resting: names of rules that are left as they are, whatever samples say.
    """
    judged = _judge(connection, rules, resting, now)
    return replace(judged, due=_due(connection, rules, contacts, judged, resting, now))


def store(
    warehouse: Warehouse,
    rules: Sequence[Rule],
    contacts: Mapping[str, Contact],
    now: datetime | None = None,
    *,
    resting: frozenset[str] = frozenset(),
    links: Links = NOWHERE,
) -> Look:
    """Judge the rules and store what changed, with a message for each channel and what rules set going, in one
    transaction; returns what was stored: `due` holds the messages. now: None for the clock's, once it is our turn."""
    with warehouse.connect(APPLICATION) as connection:
        stored.only_one_stores(connection)
        now = now or datetime.now(UTC)
        found = _judge(connection, rules, resting, now)
        by_name = {rule.name: rule for rule in rules}
        begun: list[int] = []
        for name in [*found.changed, *found.decided]:
            if name in by_name:
                begun += _change(connection, by_name[name], found.evaluations[name])
            else:
                _close(connection, name, now)
        installation = stored.installation(connection)
        written: list[Told] = []
        # Of what began and ended since the last look, both are told; nothing is told twice in one look.
        while due := [
            told
            for told in _due(connection, rules, contacts, found, resting, now, begun)
            if not any(
                (told.incident.incident_id, told.reason) == (one.incident.incident_id, one.reason) for one in written
            )
        ]:
            for told in due:
                _write(connection, by_name.get(told.incident.rule), contacts, found, told, now, links, installation)
            written += due
        return replace(found, due=written)


def _judge(connection: Connection, rules: Sequence[Rule], resting: frozenset[str], now: datetime) -> Look:
    """What the rules say and what of it is new; whom it tells is not asked yet."""
    evaluations, changed, decided = {}, [], []
    for rule in rules:
        known = [Sample(**row) for row in samples(connection, rule.metric, now - rule.looks_back, now)]
        standing = _standing(connection, rule)
        evaluations[rule.name] = evaluate(rule, known, standing, now)
        found = evaluations[rule.name]
        if replace(found.standing, decided_at=standing.decided_at) != standing or found.transitions:
            changed.append(rule.name)
        elif found.standing != standing:
            decided.append(rule.name)
    open_ones = [one for one in _incidents(connection, resting) if one.closed_at is None]
    changed += [name for name in dict.fromkeys(one.rule for one in open_ones) if name not in evaluations]
    silences = [Silence(**row) for row in stored.silences(connection, now)]
    held = {rule.name: [one for one in silences if one.holds(rule.name, now)] for rule in rules}
    firing = firing_rules(open_ones)
    return Look(evaluations, changed, decided, (), held, {rule.name: explained_by(rule, firing) for rule in rules})


def _standing(connection: Connection, rule: Rule) -> Standing:
    row = stored.standing(connection, rule.name)
    return Standing(**row | {"data": State(row["data"]) if row["data"] else None}) if row else Standing()


def _change(connection: Connection, rule: Rule, evaluation: Evaluation) -> list[int]:
    """Store transitions and standing; the incidents that begin."""
    begun = []
    for transition in evaluation.transitions:
        kind = KINDS[transition.change]
        if transition.change is Change.FIRED:
            begun += stored.open_incident(connection, rule.name, kind, rule.severity, transition.at)
        elif transition.change is Change.DATA_LOST:
            since = evaluation.standing.data_since or transition.at
            begun += stored.open_incident(connection, rule.name, kind, rule.no_data_severity, since)
        else:
            stored.close_incident(connection, rule.name, kind, transition.at)
    stored.save_standing(connection, rule.name, asdict(evaluation.standing))
    return begun


def _close(connection: Connection, name: str, now: datetime) -> None:
    """End what is open of a rule that was taken out of the file: it can never say that it is over."""
    for kind in Kind:
        stored.close_incident(connection, name, kind, now)
    stored.save_standing(connection, name, asdict(Standing()))


def _due(
    connection: Connection,
    rules: Sequence[Rule],
    contacts: Mapping[str, Contact],
    judged: Look,
    resting: frozenset[str],
    now: datetime,
    begun: Sequence[int] = (),
) -> list[Told]:
    by_name = {rule.name: rule for rule in rules}
    incidents = _incidents(connection, resting, begun)
    firing = firing_rules(incidents)
    found = []
    for incident in incidents:
        rule = by_name.get(incident.rule)
        if rule is not None:
            is_muted = bool(judged.silences[rule.name] or explained_by(rule, firing))
            told = told_now(incident, rule, contacts, is_muted=is_muted, now=now)
        else:
            is_told = incident.closed_at is not None and incident.told_at is not None
            told = Told(incident, CLOSING[incident.kind], ()) if is_told else None
        if told is not None:
            found.append(told)
    return found


def _incidents(connection: Connection, resting: frozenset[str], begun: Sequence[int] = ()) -> list[Incident]:
    return [
        Incident(**row | {"kind": Kind(row["kind"]), "severity": Severity(row["severity"])})
        for row in stored.unsettled_incidents(connection, begun)
        if row["rule"] not in resting
    ]


def _write(
    connection: Connection,
    rule: Rule | None,
    contacts: Mapping[str, Contact],
    found: Look,
    told: Told,
    now: datetime,
    links: Links,
    installation: str,
) -> None:
    incident, channels = told.incident, list(told.channels)
    if told.reason is CLOSING[incident.kind]:
        # Whoever heard of it hears of its end, whatever rule and contacts say by now.
        channels = list(dict.fromkeys([*channels, *stored.channels_told(connection, incident.incident_id)]))
    if rule is None:
        message = message_without_rule(incident, told.reason, link=links.of(None))
    else:
        evaluation = found.evaluations[rule.name]
        data, sample = evaluation.standing.data, _told_sample(evaluation, told)
        message = message_of(rule, incident, told.reason, sample=sample, data=data, link=links.of(sample))
        if told.reason is OPENING[incident.kind]:
            act(connection, rule, incident, channels, contacts, now)
    rows = [
        stored.NewMessage(
            incident_id=incident.incident_id,
            reason=told.reason.value,
            channel=channel,
            dedup_key=dedup_key(incident, installation),
            severity=incident.severity.value,
            is_over=told.reason is CLOSING[incident.kind],
            title=message.title,
            body=message.body,
            fields=message.fields,
        )
        for channel in channels
    ]
    stored.write_messages(connection, rows, now)


def _told_sample(evaluation: Evaluation, told: Told) -> Sample | None:
    """The one that made the change which is told, if it was made now; else the latest."""
    for transition in evaluation.transitions:
        if (KINDS[transition.change], transition.change.value) == (told.incident.kind, told.reason.value):
            return transition.sample
    return evaluation.latest
