"""One round: measure, judge, store what changed, send what is due. Whoever is killed in it begins again from what is
stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.metric_samples import add_samples
from orchestration.warehouse.metric_sources import METRICS, SAMPLE_LIMIT_MS, UP, measure_all

from .alerting import FILE, Alerting
from .check import APPLICATION, NOWHERE, Links, Look, look, store
from .delivery import Patience, Sent, deliver
from .sender import Sender

# Of each read of a look: whoever looks must not hang with what it looks at.
LOOK_LIMIT_MS = 30_000


@dataclass(frozen=True)
class Round:
    """samples: stored; look: what was stored of the rules; sent: messages that were taken."""

    samples: int
    look: Look
    sent: int


def go_round(
    warehouse: Warehouse,
    alerting: Alerting,
    policy: Policy,
    *,
    measures: bool,
    links: Links = NOWHERE,
    tell: Callable[[Sent], None] = lambda _sent: None,
) -> Round:
    """Judge and tell. measures: take samples first, where nobody else does (the monitor of `marketing up`)."""
    samples = take_samples(warehouse, policy, datetime.now(UTC)) if measures else 0
    found = store(warehouse, alerting.rules, alerting.contacts, resting=alerting.resting, links=links)
    with Sender() as sender:
        sent = deliver(
            warehouse,
            alerting.transports,
            Patience.of(policy),
            fallback=FILE,
            send=sender.send,
            limit=timedelta(seconds=policy.alert_round_seconds),
            tell=tell,
        )
    return Round(samples, found, sent)


def take_samples(warehouse: Warehouse, policy: Policy, now: datetime, *, of_uptime: bool = False) -> int:
    """A sample of each metric that there is something to measure of; returns how many are new.

    of_uptime: that the engine is up, too; by whoever says so each minute, since one that is missing says the opposite.
    """
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        connection.execute(f"set statement_timeout = {SAMPLE_LIMIT_MS}")
        found = measure_all(connection, now, [metric for metric in METRICS if of_uptime or metric != UP], policy)
        connection.execute("reset statement_timeout")
        return add_samples(connection, found)


@dataclass(frozen=True)
class Waiting:
    """What a round would do. news: what it would store, in words; stored_at: when one last did; due_at: since when a
    message can be sent, or from when on."""

    news: tuple[str, ...]
    stored_at: datetime | None
    due_at: datetime | None


def waiting(warehouse: Warehouse, alerting: Alerting, now: datetime) -> Waiting:
    """What there is to be stored and sent. Only reads."""
    with warehouse.connect(APPLICATION) as connection:
        connection.execute(f"set statement_timeout = {LOOK_LIMIT_MS}")
        found = look(connection, alerting.rules, alerting.contacts, now, resting=alerting.resting)
        news = [*found.changed, *(f"{told.incident.rule}: {told.reason.value}" for told in found.due)]
        news += [f"{name}: can be judged" for name in found.decided]
        return Waiting(tuple(dict.fromkeys(news)), stored.last_stored(connection), stored.next_due(connection))


def is_news(warehouse: Warehouse, alerting: Alerting, now: datetime) -> tuple[bool, str]:
    """Whether a round would store or send anything, with what, in words. Only reads."""
    found = waiting(warehouse, alerting, now)
    news = [*found.news, *(["messages wait"] if found.due_at is not None and found.due_at <= now else [])]
    return bool(news), ", ".join(news)
