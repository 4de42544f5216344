"""The marts of health: what they say of neighbours, of parts of the system and of success, beside an oracle."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from psycopg.rows import dict_row

from tests.engine import POLICY, Engine, assert_same, policy
from tests.oracles.compare import differences
from tests.oracles.health import Service, success_criteria, system_health
from tests.oracles.oracle import trimmed_lower
from tests.oracles.policy import headline_model
from tests.oracles.worlds import World, world

HOUR = timedelta(hours=1)
SERVICE = ("operations_p99_ms", "uptime", "ai_success_rate")
LENIENT = {
    "campaign_delivery_min_recipients": 1,
    "attribution_accuracy_min_conversions": 1,
    "integration_min_expected": 1,
}
"""Least numbers that so small a world has."""

Sample = tuple[str, datetime, float | None, float | None, float | None, int | None]
Incident = tuple[str, datetime, datetime | None]


def watched(now: datetime, hours: float) -> list[datetime]:
    """The minutes of so many hours before now."""
    minute = now.replace(second=0, microsecond=0)
    return [minute - timedelta(minutes=number) for number in range(1, int(60 * hours))]


def told(
    engine: Engine, samples: Sequence[Sample], incidents: Sequence[Incident], minutes: Sequence[datetime] = ()
) -> None:
    """Store what the engine measured of itself, and in which minutes it was looked at."""
    with engine.warehouse.connect() as connection:
        connection.cursor().executemany(
            """
            insert into ops.metric_samples (metric, sampled_at, value, low, high, size)
            values (%s, %s, %s, %s, %s, %s)
            """,
            samples,
        )
        connection.cursor().executemany(
            """
            insert into ops.metric_rollups (metric, resolution, bucket_at, samples, without_value)
            values ('engine_up', '1m', %s, 1, 0)
            """,
            [(minute,) for minute in minutes],
        )
        connection.cursor().executemany(
            "insert into ops.alert_incidents (rule, kind, severity, opened_at, closed_at) values (%s, %s, %s, %s, %s)",
            [(f"rule_{number}", "threshold", *incident) for number, incident in enumerate(incidents)],
        )


def began_at(engine: Engine) -> datetime:
    with engine.warehouse.connect() as connection:
        return connection.execute("select max(started_at) from ops.builds").fetchone()[0].astimezone(UTC)


def headline_accuracy(engine: Engine, numbers: dict[str, Any]) -> dict[str, Any] | None:
    """What attribution_accuracy says now of the model that the scorecard shows."""
    with engine.warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select accuracy_low, accuracy_high, conversions
            from marts.attribution_accuracy
            where is_latest and truth_method = 'survey' and attribution_model = %s and calibration_id = 0
            """,
            [headline_model(numbers)],
        ).fetchone()


def assert_healthy_as_expected(
    engine: Engine,
    drawn: World,
    overrides: dict[str, Any],
    samples: Sequence[Sample],
    incidents: Sequence[Incident],
    minutes: Sequence[datetime] = (),
) -> dict[str, dict[str, Any]]:
    """Hold both marts that look at the engine itself against the oracle; their rows by name."""
    found = engine.marts()
    expected = engine.expected(drawn.feeds, drawn.as_of, overrides)
    service = Service(began_at(engine), samples, incidents, minutes)
    numbers = POLICY | overrides
    address_of = {
        event["recipient_email"]: trimmed_lower(event["recipient_email"]) for event in drawn.feeds["campaign_events"]
    }
    health = system_health(
        drawn.feeds,
        address_of,
        found["scorecard"],
        headline_accuracy(engine, numbers),
        found["integration_health"],
        service,
        drawn.as_of,
        numbers,
    )
    criteria = success_criteria(found["scorecard"], expected["integration_health"], service, drawn.as_of, numbers)
    assert_same(found, expected | {"success_criteria": criteria}, "marts differ from the oracle")
    assert not differences("system_health", found["system_health"], health)
    return {row["component"]: row for row in found["system_health"]} | {
        row["criterion"]: row for row in found["success_criteria"]
    }


@pytest.mark.parametrize(
    "number", [*range(2), *(pytest.param(number, marks=pytest.mark.soak) for number in range(2, 30))]
)
def test_health_equals_the_oracle_whatever_was_measured(engine: Engine, number: int) -> None:
    """Prevents a part that is said to be healthy, or critical, on what nobody measured."""
    drawn, luck = world(number, policies=False), Random(number)
    now = datetime.now(UTC)
    samples = [
        (
            metric,
            now - luck.choice((1, 23, 25)) * HOUR + luck.random() * HOUR / 2,
            luck.choice((None, 0.5, 0.95, 0.9, 0.9995, 150.0, 200.0)),
            luck.choice((None, 0.4)),
            luck.choice((None, 0.96)),
            luck.choice((None, 1, 400, 3000, 43_200)),
        )
        for metric in SERVICE
        for _ in range(3)
    ]
    ends = (None, now - 47 * HOUR, now - 49 * HOUR, now + HOUR)
    incidents = [
        (luck.choice(("critical", "critical", "warning")), now - luck.choice((49.5, 60, -1)) * HOUR, luck.choice(ends))
        for _ in range(luck.randrange(4))
    ]
    incidents = [incident for incident in incidents if incident[2] is None or incident[2] > incident[1]]
    minutes = watched(now, luck.choice((1, 45, 47.5, 60)))
    overrides = drawn.overrides | LENIENT
    told(engine, samples, incidents, minutes)
    with policy(overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
        assert_healthy_as_expected(engine, drawn, overrides, samples, incidents, minutes)


def test_service_is_judged_by_what_was_measured_last(engine: Engine) -> None:
    """Prevents a target of the deployment guide that nothing can meet, or miss."""
    drawn, now = world(1, policies=False), datetime.now(UTC)
    month = 30 * 1440
    well = [
        ("uptime", now - HOUR, 0.9995, None, None, month),
        ("operations_p99_ms", now - HOUR, 150.0, None, None, 1440),
        ("ai_success_rate", now - HOUR, 0.968, 0.95, 0.98, 300),
    ]
    over = [("critical", now - 60 * HOUR, now - 49 * HOUR), ("warning", now - HOUR, None)]
    minutes = watched(now, 49)
    told(engine, well, over, minutes)
    with policy(drawn.overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
        found = assert_healthy_as_expected(engine, drawn, drawn.overrides, well, over, minutes)
        for criterion in ("uptime", "response_time_p99_ms", "critical_incidents"):
            assert found[criterion]["status"] == "met"
        assert {found[part]["status"] for part in ("ai_content", "response_time")} == {"healthy"}
        assert found["critical_incidents"]["evidence"].startswith("none open since")
        evidence = f"sample of {now - HOUR:%Y-%m-%d %H:%M} UTC, of 300 jobs, at least 20 needed"
        assert found["ai_content"]["evidence"].startswith(evidence)
        assert "; each in marts.integration_health" in found["integrations"]["evidence"]

        ill = [
            ("uptime", now - HOUR / 2, 0.998, None, None, month),
            ("operations_p99_ms", now - HOUR / 2, 200.0, None, None, 1440),
            ("ai_success_rate", now - HOUR / 2, 0.7, 0.6, 0.8, 300),
        ]
        open_still = [("critical", now - 47 * HOUR, None)]
        told(engine, ill, open_still)
        engine.build(drawn.as_of)
        found = assert_healthy_as_expected(engine, drawn, drawn.overrides, well + ill, over + open_still, minutes)
        for criterion in ("uptime", "response_time_p99_ms", "critical_incidents"):
            assert found[criterion]["status"] == "missed"
        assert [found[part]["status"] for part in ("ai_content", "response_time", "campaign_delivery")] == [
            "critical",
            "degraded",
            "no_data",
        ]
        assert "rule_0" in found["critical_incidents"]["evidence"]


def test_of_an_engine_that_nobody_watched_nothing_good_is_said(engine: Engine) -> None:
    """Prevents success by silence: no incident in two days, when nobody looked."""
    drawn = world(1, policies=False)
    now = datetime.now(UTC)
    briefly = [
        ("uptime", now - HOUR, 1.0, None, None, 60),
        ("operations_p99_ms", now - HOUR, 1.0, None, None, 99),
        ("ai_success_rate", now - HOUR, 0.0, None, None, 1),
    ]
    minutes = watched(now, 40)
    told(engine, briefly, [], minutes)
    with policy(drawn.overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
        found = assert_healthy_as_expected(engine, drawn, drawn.overrides, briefly, [], minutes)
    for criterion in ("uptime", "response_time_p99_ms", "critical_incidents", "response_time", "ai_content"):
        assert found[criterion]["status"] == "no_data"
