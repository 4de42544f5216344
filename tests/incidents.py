"""Rules on samples that a test makes up, in a real warehouse, and what was stored of them."""

from datetime import UTC, datetime, timedelta

from psycopg.rows import dict_row

from orchestration.alerts.check import store
from orchestration.alerts.routing import Contact
from orchestration.alerts.rules import Rule
from orchestration.warehouse import Warehouse
from orchestration.warehouse.metric_samples import add_samples

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = Rule.model_validate(
    {
        "name": "rate_low",
        "summary": "Fewer convert",
        "metric": "conversion_rate",
        "below": 0.35,
        "clear_at": 0.4,
        "for": "2m",
        "stale_after": "10m",
        "severity": "critical",
        "channels": ["webhook", "file"],
        "owner": "Marketing",
        "runbook": "docs/operations.md",
    }
)
FEED = RULE.model_copy(
    update={"name": "feed_late", "metric": "feed_age", "below": None, "above": 60.0, "clear_at": None}
)
CONTACTS = {"Marketing": Contact()}


def measure(warehouse: Warehouse, *values: float, start: datetime = NOW, metric: str = "conversion_rate") -> None:
    """A sample a minute."""
    with warehouse.connect() as connection:
        add_samples(
            connection,
            [
                {"metric": metric, "sampled_at": start + minute * MINUTE, "value": value}
                for minute, value in enumerate(values)
            ],
        )


def checked(warehouse: Warehouse, minute: float, *rules: Rule) -> list[str]:
    """Judge the rules so many minutes after NOW, and store; the reasons of the messages written."""
    found = store(warehouse, rules or (RULE,), CONTACTS, NOW + minute * MINUTE)
    return [told.reason.value for told in found.due]


def outbox(warehouse: Warehouse) -> list[dict]:
    with warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from ops.alert_outbox order by message_id").fetchall()
