"""Sends what the outbox holds: claim, send, record; a kill in between repeats a message, and loses none.

Of one channel, what is due at once goes as one message where the channel takes that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from orchestration.policy import Policy
from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.alerts import ClaimedMessage
from orchestration.webhooks import Outcome, wait_before

from .channels import Transport
from .routing import Reason
from .rules import Severity

APPLICATION = "marketing alert delivery"
# Longer than a message may take (sender.LIMIT_SECONDS).
LEASE = timedelta(minutes=2)
# Messages that go as one at most: what more there is comes right after.
MOST_AT_ONCE = 20


@dataclass(frozen=True)
class Patience:
    """How long to wait after a failure: first, twice as long after each, at most longest; given up after give_up."""

    first: timedelta
    longest: timedelta
    give_up: timedelta

    @classmethod
    def of(cls, policy: Policy) -> "Patience":
        """As the policy has it."""
        return cls(
            timedelta(seconds=policy.alert_retry_first_seconds),
            timedelta(minutes=policy.alert_retry_longest_minutes),
            timedelta(hours=policy.alert_give_up_hours),
        )

    def wait(self, message: ClaimedMessage, outcome: Outcome, now: datetime, luck: Random) -> timedelta | None:
        """Until the next attempt; None: there is none."""
        if outcome.is_final or now - message.created_at >= self.give_up:
            return None
        return wait_before(message.attempts - 1, self.first, self.longest, outcome.retry_after, luck)


@dataclass(frozen=True)
class Sent:
    """A message and what came of sending it once. wait: until it is tried again; None when it was taken, or is dead."""

    message: ClaimedMessage
    outcome: Outcome
    wait: timedelta | None


def deliver(
    warehouse: Warehouse,
    transports: Mapping[str, Transport],
    patience: Patience,
    *,
    fallback: str,
    send: Callable[[Transport, ClaimedMessage], Outcome],
    luck: Random | None = None,
    tell: Callable[[Sent], None] = lambda _sent: None,
) -> int:
    """Send all that is due, until nothing is; returns how many were taken.

    transports: channel -> where its messages go. What a channel refuses for good, or has no transport, is told on
    another channel that people read, else on fallback, which is one of them. send: by which a message goes once, within
    a time (sender.Sender).
    """
    luck = luck or Random()
    taken = 0
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        while due := stored.claim(connection, LEASE):
            transport = transports.get(due[0].channel)
            if transport is None:
                outcome = Outcome(f"no address of the channel {due[0].channel} is known", is_final=True)
            else:
                if transport.takes_many:
                    due += stored.claim(connection, LEASE, channel=due[0].channel, most=MOST_AT_ONCE - 1)
                outcome = send(transport, together(due))
            alone = transport is not None and outcome.is_final and len(due) > 1
            for message in due:
                # One that a receiver refuses for good must not take the others with it.
                came = send(transport, message) if alone else outcome
                taken += came.error is None
                tell(_record(connection, message, came, patience, _next_channel(message, transports, fallback), luck))
    return taken


def _next_channel(message: ClaimedMessage, transports: Mapping[str, Transport], fallback: str) -> str:
    """Where it is told that a message is dead: by another way to people, once; then by the fallback."""
    if message.reason == Reason.UNDELIVERED.value:
        return fallback
    others = (name for name, transport in transports.items() if transport.takes_many and name != message.channel)
    return next(others, fallback)


def trial_messages(channel: str, *, author: str, now: datetime) -> tuple[ClaimedMessage, ClaimedMessage]:
    """A message of no incident, which says so, and its end."""
    begun = ClaimedMessage(
        incident_id=0,
        reason="test",
        channel=channel,
        dedup_key=f"marketing-automation/test/{now:%Y%m%dT%H%M%S}",
        severity=Severity.INFO.value,
        is_over=False,
        title="test: nothing is wrong",
        body=f"{author} tries whether alerts arrive by {channel}.",
        fields={"rule": "test", "severity": Severity.INFO.value, "since": now.isoformat()},
        message_id=0,
        rule="test",
        attempts=1,
        created_at=now,
    )
    return begun, replace(begun, is_over=True, title="over: test", message_id=1)


def together(messages: Sequence[ClaimedMessage]) -> ClaimedMessage:
    """One message that says what all of them say, as grave as the gravest."""
    if len(messages) == 1:
        return messages[0]
    going_on = [message for message in messages if not message.is_over]
    return replace(
        messages[0],
        severity=max((message.severity for message in going_on or messages), key=list(Severity).index),
        is_over=not going_on,
        title=f"{len(messages)} alerts: {', '.join(dict.fromkeys(message.rule for message in messages))}",
        body="\n\n".join(f"{message.title}\n{message.body}" for message in messages),
        fields={"alerts": [message.fields for message in messages]},
    )


def _record(
    connection: Connection,
    message: ClaimedMessage,
    outcome: Outcome,
    patience: Patience,
    fallback: str,
    luck: Random,
) -> Sent:
    if outcome.error is None:
        stored.record_sent(connection, message.message_id)
        return Sent(message, outcome, None)
    now = datetime.now(UTC)
    sent = Sent(message, outcome, patience.wait(message, outcome, now, luck))
    _record_failure(connection, sent, fallback, now)
    return sent


def _record_failure(connection: Connection, sent: Sent, fallback: str, now: datetime) -> None:
    """In one transaction: that it failed, and, where it is dead, the word of it on another channel."""
    message, error = sent.message, sent.outcome.error or ""
    with connection.transaction():
        is_ours = stored.record_failed(connection, message, error, sent.wait)
        if not is_ours or sent.wait is not None or message.channel == fallback:
            return
        undelivered = stored.NewMessage(
            incident_id=message.incident_id,
            reason=Reason.UNDELIVERED.value,
            channel=fallback,
            dedup_key=message.dedup_key,
            severity=message.severity,
            is_over=message.is_over,
            title=f"not delivered to {message.channel}: {message.title}",
            body=f"{message.channel}: {error}, attempt {message.attempts}\n{message.body}",
            fields=message.fields | {"undelivered_channel": message.channel, "undelivered_error": error},
        )
        stored.forward(connection, undelivered, now)
