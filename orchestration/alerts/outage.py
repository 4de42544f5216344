"""Watches those who judge, and tells people what cannot go through the outbox: that the warehouse does not answer, that
rules or contacts cannot be read, that nobody judges or sends.

Which channel knows of what is kept in a file, so that a monitor which is started anew goes on where the last one was.
"""

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from pydantic import ValidationError

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse.alerts import ClaimedMessage
from orchestration.warehouse.files import write_whole

from .alerting import Addresses, alerting
from .delivery import Patience
from .rounds import waiting
from .routing import Kind, channels_of
from .rules import RulesError
from .sender import Sender
from .troubles import OUTAGES, Fault, Outage, Trouble, due, noticed, tried

RULE = "engine_silent"


@dataclass(frozen=True)
class Words:
    """What people read of a trouble. beginning: None for the summary of the rule."""

    beginning: str | None
    end: str
    what: str


WORDS = {
    Trouble.UNREACHABLE: Words(None, "the warehouse answers again", "the warehouse does not answer"),
    Trouble.UNREADABLE: Words(
        "Rules or contacts cannot be read: no alert is judged",
        "rules and contacts can be read again",
        "rules or contacts cannot be read",
    ),
    Trouble.UNJUDGED: Words(
        "Alerts are not being judged, or not being sent",
        "alerts are judged and sent again",
        "alerts wait (is alert_sensor on, does alert_people run?)",
    ),
}


class Watch:
    """Looks each minute, and tells. Holds the last rules and contacts that could be read.

    Raises RulesError where they cannot be read at the start. tell: what is sent, and what fails, for the log.
    """

    def __init__(self, warehouse: Warehouse, policy: Policy, addresses: Addresses, tell: Callable[[str], None]) -> None:
        self._warehouse, self._policy, self._addresses, self._tell = warehouse, policy, addresses, tell
        self._alerting = alerting(policy, addresses)
        self._rule = self._alerting.by_name[RULE]
        self._file = addresses.home / "alerts" / "outages.json"
        self._retries = Patience.of(policy)
        self._patience = {
            Trouble.UNREACHABLE: timedelta(minutes=policy.alert_unreachable_minutes),
            Trouble.UNREADABLE: timedelta(minutes=policy.alert_unjudged_minutes),
            Trouble.UNJUDGED: timedelta(minutes=policy.alert_unjudged_minutes),
        }
        self._outages = self._known()
        self._first_seen: dict[str, datetime] = {}
        self._began: datetime | None = None
        self._looked_at: datetime | None = None

    def __call__(self, now: datetime, fault: str | None) -> None:
        """Of one minute. fault: the kind of error by which the warehouse does not answer, None when it does."""
        if self._looked_at is not None and now - self._looked_at > self._patience[Trouble.UNJUDGED]:
            self._begin_anew()
        self._looked_at = now
        seen: dict[Trouble, Fault | None] = {
            Trouble.UNREACHABLE: self._lasting("unreachable", fault, now),
            Trouble.UNREADABLE: self._lasting("unreadable", self._read(), now),
        }
        # Without a warehouse, or by rules that are old, nothing is known of those who judge.
        if seen == {Trouble.UNREACHABLE: None, Trouble.UNREADABLE: None}:
            self._began = self._began or now
            seen[Trouble.UNJUDGED] = self._unjudged(self._began, now)
        else:
            self._begin_anew()
        self._keep(
            noticed(
                self._outages,
                seen,
                patience=self._patience,
                channels=channels_of(self._rule, Kind.THRESHOLD, self._alerting.contacts),
                key=self._key,
                now=now,
            )
        )
        self._tell_people()

    def _begin_anew(self) -> None:
        """What had to wait while nobody was up, or could judge, is nobody's fault."""
        self._began = None
        self._first_seen.pop("unjudged", None)

    def _lasting(self, what: str, text: str | None, now: datetime) -> Fault | None:
        """A fault since the first look that found it, of those in a row."""
        if text is None:
            self._first_seen.pop(what, None)
            return None
        return Fault(since=self._first_seen.setdefault(what, now), text=text)

    def _read(self) -> str | None:
        """Read rules and contacts anew, as they are read by whoever judges; what is wrong, without what is in them."""
        try:
            found = alerting(self._policy, self._addresses)
        except RulesError as error:
            if "unreadable" not in self._first_seen:
                self._tell(str(error))
            return f"faults: {len(str(error).splitlines())}; `marketing alerts list` names them"
        except Exception as error:  # noqa: BLE001 -- whatever it is, those who judge meet it, too
            return type(error).__name__
        self._alerting, self._rule = found, found.by_name.get(RULE, self._rule)
        return None

    def _unjudged(self, began: datetime, now: datetime) -> Fault | None:
        """What should be stored or sent by now. Where something else was stored meanwhile, somebody is at work."""
        patience = self._patience[Trouble.UNJUDGED]
        try:
            found = waiting(self._warehouse, self._alerting, now)
        except Exception as error:  # noqa: BLE001 -- whatever it is, those who judge meet it, too
            return self._lasting("unjudged", f"cannot be judged: {type(error).__name__}", now)
        news = f"not stored: {', '.join(found.news)}" if found.news else None
        unstored = self._lasting("unjudged", news, now)
        if unstored is not None:
            since = max(unstored.since, found.stored_at or unstored.since)
            if now - since >= patience:
                return unstored.model_copy(update={"since": since})
        if found.due_at is not None:
            since = max(found.due_at, began)
            if now - since >= patience:
                return Fault(since=since, text="messages are not sent")
        return None

    def _tell_people(self) -> None:
        with Sender() as sender:
            for outage in self._outages:
                for channel, is_over in due(outage, datetime.now(UTC)):
                    outage = self._told(sender, outage, channel, is_over=is_over)
                    self._keep(tuple(outage if one.key == outage.key else one for one in self._outages))
        self._keep(tuple(one for one in self._outages if not one.is_settled))

    def _told(self, sender: Sender, outage: Outage, channel: str, *, is_over: bool) -> Outage:
        transport, again_at = self._alerting.transports.get(channel), None
        if transport is not None:
            message = self._message(outage, channel, is_over=is_over)
            outcome = sender.send(transport, message)
            self._tell(f"{channel}: {message.title}: {outcome.error or 'taken'}")
            if outcome.error is not None and not outcome.is_final:
                failures = (outage.over if is_over else outage.begun)[channel].failures + 1
                again_at = datetime.now(UTC) + self._retries.wait(failures, outcome, Random())
        return tried(outage, channel, is_over=is_over, again_at=again_at, give_up=self._retries.give_up)

    def _message(self, outage: Outage, channel: str, *, is_over: bool) -> ClaimedMessage:
        rule, words, since = self._rule, WORDS[outage.trouble], outage.fault.since
        lines = [f"rule: {rule.name}", f"since: {since:%Y-%m-%d %H:%M} UTC"]
        if is_over and outage.ended_at is not None:
            lines.append(f"until: {outage.ended_at:%Y-%m-%d %H:%M} UTC")
        lines += [f"{words.what}: {outage.fault.text}", f"owner: {rule.owner}", f"runbook: {rule.runbook}"]
        severity = rule.severity.value
        return ClaimedMessage(
            incident_id=0,
            reason="resolved" if is_over else "fired",
            channel=channel,
            dedup_key=outage.key,
            severity=severity,
            is_over=is_over,
            title=f"over: {words.end}" if is_over else f"{severity}: {words.beginning or rule.summary}",
            body="\n".join(lines),
            fields={"rule": rule.name, "severity": severity, "since": since.isoformat()},
            message_id=int(is_over),
            rule=rule.name,
            attempts=1,
            created_at=since,
        )

    def _key(self, trouble: Trouble, since: datetime) -> str:
        """Of this installation alone: several of one host may tell one receiver."""
        home = hashlib.sha256(str(self._addresses.home.resolve()).encode()).hexdigest()[:12]
        return f"{platform.node()}/{home}/{RULE}/{trouble.value}/{since:%Y%m%dT%H%M%S}"

    def _known(self) -> tuple[Outage, ...]:
        try:
            return OUTAGES.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            self._tell(f"{self._file} cannot be read ({type(error).__name__}): what it told of is told again")
            return ()

    def _keep(self, outages: tuple[Outage, ...]) -> None:
        if outages == self._outages:
            return
        self._outages = outages
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, OUTAGES.dump_json(outages).decode())
        except OSError as error:
            # People come first: told twice after a restart, if it must be.
            self._tell(f"{self._file}: {error.strerror}")
