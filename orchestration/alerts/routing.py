"""[pure] Of which incidents people are told now, through which channels, and why.

An incident is told of when it opens, or once nothing mutes it any more; again while it goes on; to the next contact
when nobody acknowledges it; and when it is over, if it was ever told of.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .rules import Action, Rule, Severity


class Kind(StrEnum):
    """What an incident is about: the threshold, or the rule's data."""

    THRESHOLD = "threshold"
    DATA = "data"


class Reason(StrEnum):
    """Why a message is written. undelivered: another channel did not take one."""

    FIRED = "fired"
    RESOLVED = "resolved"
    DATA_LOST = "data_lost"
    DATA_BACK = "data_back"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    UNDELIVERED = "undelivered"


OPENING = {Kind.THRESHOLD: Reason.FIRED, Kind.DATA: Reason.DATA_LOST}
# Actions that are done by telling a team, beside the owner of the rule.
TEAMS = {Action.NOTIFY_MARKETING_TEAM: "Marketing Automation", Action.PAGE_ON_CALL: "On-Call"}
CLOSING = {Kind.THRESHOLD: Reason.RESOLVED, Kind.DATA: Reason.DATA_BACK}


@dataclass(frozen=True)
class Incident:
    """An incident as stored. told_at: when people were last told that it goes on; first_told_at: when at first."""

    incident_id: int
    rule: str
    kind: Kind
    opened_at: datetime
    closed_at: datetime | None = None
    told_at: datetime | None = None
    first_told_at: datetime | None = None
    acknowledged_at: datetime | None = None
    escalated_at: datetime | None = None
    severity: Severity = Severity.WARNING


@dataclass(frozen=True)
class Silence:
    """From starts_at until ends_at nobody is told that a rule (None: any) fires or goes on; of the end of what was told
    before, people are."""

    rule: str | None
    starts_at: datetime
    ends_at: datetime
    author: str = ""
    reason: str = ""
    silence_id: int | None = None

    def holds(self, rule: str, now: datetime) -> bool:
        """Whether nobody is told of this rule now."""
        return self.rule in (None, rule) and self.starts_at <= now < self.ends_at


@dataclass(frozen=True)
class Contact:
    """The owner of rules. channels: beside those of a rule; escalation: where it goes when nobody acknowledges."""

    channels: tuple[str, ...] = ()
    escalation: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """One message to be written, for each channel."""

    incident: Incident
    reason: Reason
    channels: tuple[str, ...]


def firing_rules(incidents: Iterable[Incident]) -> frozenset[str]:
    """Names of the rules that fire. One that cannot be judged is none."""
    return frozenset(one.rule for one in incidents if one.closed_at is None and one.kind is Kind.THRESHOLD)


def explained_by(rule: Rule, firing: Collection[str]) -> tuple[str, ...]:
    """Which of the rules that inhibit it fire, and so explain what it sees."""
    return tuple(other for other in rule.inhibited_by if other in firing)


def channels_of(rule: Rule, kind: Kind, contacts: Mapping[str, Contact]) -> tuple[str, ...]:
    """Where a rule's messages go: its own channels, its owner's, and those of the team that its action is to tell.

    That it cannot be judged is told on no_data_channels, and sets nothing going.
    """
    own, people = rule.channels, [contacts.get(rule.owner, Contact())]
    if kind is Kind.DATA:
        own = rule.no_data_channels or rule.channels
    else:
        people.append(contacts.get(TEAMS.get(rule.action, ""), Contact()))
    return tuple(dict.fromkeys((*own, *(channel for one in people for channel in one.channels))))


def told_now(
    incident: Incident, rule: Rule, contacts: Mapping[str, Contact], *, is_muted: bool, now: datetime
) -> Told | None:
    """The message that an incident needs now, or None. is_muted: silenced or inhibited.

    One message at a time: what else is due comes with the next look. Of one that was over before anybody looked, the
    beginning is told as well.
    """
    channels = channels_of(rule, incident.kind, contacts)
    if incident.told_at is None:
        return None if is_muted else Told(incident, OPENING[incident.kind], channels)
    if incident.closed_at is not None:
        return Told(incident, CLOSING[incident.kind], channels)
    if is_muted or incident.acknowledged_at is not None:
        return None
    first, escalation = incident.first_told_at or incident.told_at, contacts.get(rule.owner, Contact()).escalation
    # That something cannot be judged gets nobody up, unless the rule says that it is as grave.
    is_grave = incident.kind is Kind.THRESHOLD or incident.severity is Severity.CRITICAL
    escalates = rule.escalate_after is not None and escalation and incident.escalated_at is None and is_grave
    if escalates and now - first >= rule.escalate_after:
        return Told(incident, Reason.ESCALATION, escalation)
    if rule.repeat_every is not None and now - incident.told_at >= rule.repeat_every:
        return Told(incident, Reason.REMINDER, channels)
    return None
