"""One round: measure, judge, store what changed, send what is due. Whoever is killed in it begins again from what is
stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.metric_sources import METRICS, measure

from .alerting import FILE, Alerting
from .check import APPLICATION, Look, look, store
from .delivery import Patience, Sent, deliver


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
    link: str | None = None,
    tell: Callable[[Sent], None] = lambda _sent: None,
) -> Round:
    """Measure, judge and tell. link: to where people find more."""
    samples = take_samples(warehouse, datetime.now(UTC))
    # The clock again: what was measured must not lie after it.
    found = store(warehouse, alerting.rules, alerting.contacts, datetime.now(UTC), link=link)
    sent = deliver(warehouse, alerting.transports, Patience.of(policy), fallback=FILE, tell=tell)
    return Round(samples, found, sent)


def take_samples(warehouse: Warehouse, now: datetime) -> int:
    """A sample of each metric that there is something to measure of; returns how many are new."""
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        found = [measure(connection, now, metric) for metric in METRICS]
        return stored.add_samples(connection, [sample for sample in found if sample is not None])


def is_news(warehouse: Warehouse, alerting: Alerting, now: datetime) -> tuple[bool, str]:
    """Whether a round would store or send anything, with what, in words. Only reads."""
    with warehouse.connect(APPLICATION) as connection:
        found = look(connection, alerting.rules, alerting.contacts, now)
        due = stored.next_due(connection)
    news = [*found.changed, *(f"{told.incident.rule}: {told.reason.value}" for told in found.due)]
    if due is not None and due <= now:
        news.append("messages wait")
    return bool(news), ", ".join(dict.fromkeys(news))
