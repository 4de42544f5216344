"""[pure] What people read of an incident: what, since when, value, threshold, interval, sample, owner, runbook.

Aggregates only: a message names no person, as neither rules nor samples do.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .evaluation import Sample, State
from .routing import Incident, Kind, Reason
from .rules import Rule

HEADS = {
    (Kind.THRESHOLD, Reason.FIRED): "{severity}: {summary}",
    (Kind.THRESHOLD, Reason.RESOLVED): "over: {summary}",
    (Kind.THRESHOLD, Reason.REMINDER): "still {severity}: {summary}",
    (Kind.THRESHOLD, Reason.ESCALATION): "{severity}, not acknowledged: {summary}",
    (Kind.DATA, Reason.DATA_LOST): "{severity}: {rule} cannot be judged ({data})",
    (Kind.DATA, Reason.DATA_BACK): "over: {rule} can be judged again",
    (Kind.DATA, Reason.REMINDER): "still {severity}: {rule} cannot be judged ({data})",
    (Kind.DATA, Reason.ESCALATION): "{severity}, not acknowledged: {rule} cannot be judged ({data})",
}


@dataclass(frozen=True)
class Message:
    """title: one line. body: several, plain text. fields: the same for machines."""

    title: str
    body: str
    fields: dict[str, Any]


def message_of(
    rule: Rule, incident: Incident, reason: Reason, *, sample: Sample | None, data: State | None, link: str | None
) -> Message:
    """sample: the latest; data: why the rule cannot be judged, if so; link: to where there is more."""
    title = HEADS[incident.kind, reason].format(
        severity=incident.severity.value, summary=rule.summary, rule=rule.name, data=(data or State.NO_DATA).value
    )
    lines = [f"rule: {rule.name}", f"since: {_time(incident.opened_at)}"]
    if incident.closed_at is not None:
        lines.append(f"until: {_time(incident.closed_at)}")
    if sample is not None:
        lines += _measured(rule, sample)
    lines.append(f"fires: {rule.comparison} {rule.threshold:g}, over at {rule.clears_at:g}")
    lines += [f"owner: {rule.owner}", f"runbook: {rule.runbook}"]
    if link is not None:
        lines.append(f"more: {link}")
    fields = {
        "rule": rule.name,
        "kind": incident.kind.value,
        "reason": reason.value,
        "severity": incident.severity.value,
        "metric": rule.metric,
        "comparison": rule.comparison,
        "threshold": rule.threshold,
        "since": incident.opened_at.isoformat(),
        "until": incident.closed_at.isoformat() if incident.closed_at else None,
        "value": sample.value if sample else None,
        "label": sample.label if sample else None,
        "low": sample.low if sample else None,
        "high": sample.high if sample else None,
        "size": sample.size if sample else None,
        "measured_at": sample.at.isoformat() if sample else None,
        "data": data.value if data else None,
        "owner": rule.owner,
        "runbook": rule.runbook,
        "link": link,
    }
    return Message(title, "\n".join(lines), fields)


def message_without_rule(incident: Incident, reason: Reason, *, link: str | None) -> Message:
    """Of an incident whose rule was taken out of the rule file: that it is over, as far as anybody can say."""
    title = f"over: {incident.rule} is no rule any more"
    lines = [f"rule: {incident.rule}", f"since: {_time(incident.opened_at)}"]
    fields = {
        "rule": incident.rule,
        "kind": incident.kind.value,
        "reason": reason.value,
        "severity": incident.severity.value,
        "since": incident.opened_at.isoformat(),
        "until": incident.closed_at.isoformat() if incident.closed_at else None,
        "link": link,
    }
    return Message(title, "\n".join(lines), fields)


def dedup_key(incident: Incident, installation: str) -> str:
    """The same for every message of an incident, so that a receiver sees one, whatever is sent twice.

    installation: which one it is of, since two may tell one receiver. The time: incidents are numbered anew after a
    backup has been restored.
    """
    opened = f"{incident.opened_at:%Y%m%dT%H%M%S}"
    return f"{installation}/{incident.rule}/{incident.kind.value}/{incident.incident_id}/{opened}"


def _measured(rule: Rule, sample: Sample) -> list[str]:
    if sample.error is not None:
        return [f"{rule.metric}: could not be measured at {_time(sample.at)}: {sample.error}"]
    if sample.value is None:
        why = f": {sample.label}" if sample.label else ""
        return [f"{rule.metric}: no value at {_time(sample.at)}{why}"]
    told = f"{rule.metric}: {sample.value:.6g}" + (f" ({sample.label})" if sample.label else "")
    if sample.low is not None and sample.high is not None:
        told += f" (95 % interval {sample.low:.6g} to {sample.high:.6g})"
    told += f" at {_time(sample.at)}"
    rests = [f"sample: {sample.size:,}"] if sample.size is not None else []
    if sample.maturity is not None:
        rests.append(f"maturity: {sample.maturity:.0%}")
    return [told, *rests]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
