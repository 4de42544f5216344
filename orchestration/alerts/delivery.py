"""Sends what the outbox holds: claim, send, record; a kill in between repeats a message, and loses none.

Of one channel, what is due at once goes as one message where the channel takes that. One that fails is tried again by
a later round, so that a receiver which is dead holds up neither the others nor those who judge.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic

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

    def wait(self, failures: int, outcome: Outcome, luck: Random) -> timedelta:
        """Until a channel is tried again that has failed so often in a row."""
        return wait_before(max(failures, 1) - 1, self.first, self.longest, outcome.retry_after, luck)

    def is_over(self, message: ClaimedMessage, now: datetime) -> bool:
        """Whether a message that fails now is not tried again."""
        return now - message.created_at >= self.give_up


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
    limit: timedelta = timedelta.max,
    luck: Random | None = None,
    tell: Callable[[Sent], None] = lambda _sent: None,
) -> int:
    """Send what is due, each message once at most; returns how many were taken.

    A channel that fails is left until its next try, with all that waits for it. transports: channel -> where its
    messages go. What a channel refuses for good, or has no transport, is told on another channel that people read, else
    on fallback, which is one of them. send: by which a message goes once, within a time (sender.Sender). limit: after
    which no further one is begun.
    """
    luck = luck or Random()
    taken, left, begun = 0, set(), monotonic()

    def is_time() -> bool:
        return monotonic() - begun < limit.total_seconds()

    with warehouse.connect(APPLICATION, autocommit=True) as connection:

        def record(message: ClaimedMessage, outcome: Outcome, pause: timedelta | None) -> None:
            other = _next_channel(message, transports, fallback)
            tell(_record(connection, message, outcome, patience, pause, other))

        while is_time() and (due := stored.claim(connection, LEASE, but=left)):
            channel = due[0].channel
            transport = transports.get(channel)
            comes_together = transport is not None and transport.takes_many
            if comes_together:
                due += stored.claim(connection, LEASE, channel=channel, most=MOST_AT_ONCE - 1)
            pause = failure = None
            for message, outcome in _sent(connection, transport, due, send, is_time):
                if outcome.error is not None and not outcome.is_final and pause is None:
                    failures = stored.failures_in_a_row(connection, channel, come_together=comes_together)
                    pause, failure = patience.wait(failures, outcome, luck), outcome
                taken += outcome.error is None
                record(message, outcome, pause)
            if pause is not None:
                left.add(channel)
                stored.put_off(connection, channel, pause)
                # Only one is tried for all of them, so that their time is over with or without a try of their own.
                for message in stored.outdated(connection, channel, patience.give_up):
                    record(message, failure, pause)
    return taken


def _sent(
    connection: Connection,
    transport: Transport | None,
    due: Sequence[ClaimedMessage],
    send: Callable[[Transport, ClaimedMessage], Outcome],
    is_time: Callable[[], bool],
) -> Iterator[tuple[ClaimedMessage, Outcome]]:
    """Send messages of one channel, and tell of each what came of it; of what is given back to others, nothing."""
    if transport is None:
        outcome = Outcome(f"no address of the channel {due[0].channel} is known", is_final=True)
    else:
        outcome = send(transport, together(due))
    if transport is None or not outcome.is_final or len(due) == 1:
        yield from ((message, outcome) for message in due)
        return
    # One that a receiver refuses for good must not take the others with it.
    for place, message in enumerate(due):
        if place and not is_time():
            stored.hold(connection, due[place:], timedelta())
            return
        # Each may take as long as the lease of all of them was made for.
        if message.message_id not in stored.hold(connection, due[place:], LEASE):
            continue
        outcome = send(transport, message)
        yield message, outcome
        if outcome.error is not None and not outcome.is_final:
            stored.hold(connection, due[place + 1 :], timedelta())
            return


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
    pause: timedelta | None,
    fallback: str,
) -> Sent:
    if outcome.error is None:
        stored.record_sent(connection, message.message_id)
        return Sent(message, outcome, None)
    now = datetime.now(UTC)
    sent = Sent(message, outcome, None if outcome.is_final or patience.is_over(message, now) else pause)
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
