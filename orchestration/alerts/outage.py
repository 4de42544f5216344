"""Tells people that the warehouse does not answer: the one thing that cannot go through its outbox.

What was told is known only for as long as the monitor lives: one that is started anew tells again, under the same key.
"""

import platform
from collections.abc import Callable
from datetime import datetime

from orchestration.warehouse.alerts import ClaimedMessage

from .alerting import Alerting
from .routing import Kind, channels_of
from .sender import Sender

RULE = "engine_silent"


def outage_teller(alerting: Alerting) -> Callable[[datetime, str | None], list[str]]:
    """Tells by the channels of engine_silent: (since when, what is wrong; None: that it is over) -> what came of it."""
    rule = alerting.by_name[RULE]

    def told(since: datetime, fault: str | None) -> list[str]:
        title = "over: the warehouse answers again" if fault is None else f"{rule.severity}: {rule.summary}"
        lines = [f"rule: {rule.name}", f"since: {since:%Y-%m-%d %H:%M} UTC"]
        lines += [] if fault is None else [f"the warehouse does not answer: {fault}"]
        lines += [f"owner: {rule.owner}", f"runbook: {rule.runbook}"]
        outcomes = []
        with Sender() as sender:
            for number, channel in enumerate(channels_of(rule, Kind.THRESHOLD, alerting.contacts)):
                message = ClaimedMessage(
                    incident_id=0,
                    reason="fired" if fault else "resolved",
                    channel=channel,
                    dedup_key=f"{platform.node()}/{rule.name}/unreachable",
                    severity=rule.severity.value,
                    is_over=fault is None,
                    title=title,
                    body="\n".join(lines),
                    fields={"rule": rule.name, "severity": rule.severity.value, "since": since.isoformat()},
                    message_id=int(since.timestamp()) * 100 + 2 * number + (fault is None),
                    rule=rule.name,
                    attempts=1,
                    created_at=since,
                )
                outcome = sender.send(alerting.transports[channel], message)
                outcomes.append(f"{channel}: {title}: {outcome.error or 'taken'}")
        return outcomes

    return told
