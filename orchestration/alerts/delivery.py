"""Sends what the outbox holds: claim, send, record; a kill in between repeats a message, and loses none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from orchestration.policy import Policy
from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.alerts import ClaimedMessage

from .channels import Outcome, Transport
from .routing import Reason

APPLICATION = "marketing alert delivery"
# Longer than any transport may take.
LEASE = timedelta(minutes=2)


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
        """Until the next attempt; None: there is none. Drawn from its second half: so that many do not come at once."""
        if outcome.is_final or now - message.created_at >= self.give_up:
            return None
        doubled = min(self.first * 2 ** min(message.attempts - 1, 30), self.longest)
        spread = doubled * (0.5 + 0.5 * luck.random())
        return max(spread, outcome.retry_after or timedelta())


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
    luck: Random | None = None,
    tell: Callable[[Sent], None] = lambda _sent: None,
) -> int:
    """Send all that is due, until nothing is; returns how many were taken.

    transports: channel -> where its messages go. What a channel refuses for good, or has no transport, is told on
    the fallback channel, which is one of them.
    """
    luck = luck or Random()
    taken = 0
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        while (message := stored.claim(connection, LEASE)) is not None:
            transport = transports.get(message.channel)
            if transport is None:
                outcome = Outcome(f"no address of the channel {message.channel} is known", is_final=True)
            else:
                outcome = _sent_by(transport, message)
            sent = Sent(message, outcome, None)
            if outcome.error is None:
                stored.record_sent(connection, message.message_id)
                taken += 1
            else:
                now = datetime.now(UTC)
                sent = replace(sent, wait=patience.wait(message, outcome, now, luck))
                _record_failure(connection, sent, fallback, now)
            tell(sent)
    return taken


def _sent_by(transport: Transport, message: ClaimedMessage) -> Outcome:
    try:
        return transport.send(message)
    except Exception as error:  # noqa: BLE001 -- one message that nobody can send must not keep all others back
        # Not its text: that may hold an address, and with it a secret.
        return Outcome(f"could not be sent: {type(error).__name__}")


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
