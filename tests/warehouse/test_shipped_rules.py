"""The rules as they are shipped, over days of samples: what an ordinary installation hears, and what it does not."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.alerts.alerting import Addresses, Alerting, alerting
from orchestration.alerts.check import store
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from orchestration.warehouse.metric_samples import add_samples
from orchestration.warehouse.metric_sources import METRICS, UP, measure
from tests.content_outcomes import breaker_turned, jobs_ended

POLICY = Policy.load(REPOSITORY / "dbt_project.yml", os.environ)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# As of a business whose numbers are all well.
WELL: dict[str, dict[str, Any]] = {
    "engine_up": {"value": 1.0},
    "uptime": {"value": 1.0, "size": 43_200},
    "error_budget_burn": {"value": 0.0, "size": 360},
    "error_budget_spent": {"value": 0.1, "size": 43_200},
    "operations_p99_ms": {"value": 20.0, "size": 1440},
    "viral_coefficient": {"value": 1.34, "low": 1.3, "high": 1.38, "size": 5000, "maturity": 0.6},
    "campaign_conversion_rate": {"value": 0.44, "low": 0.42, "high": 0.46, "size": 90_000},
    "recent_campaign_conversion_rate": {"value": 0.44, "low": 0.40, "high": 0.48, "size": 9_000, "maturity": 0.5},
    "attribution_drift": {"value": 0.0, "size": 900},
    "marts_age_minutes": {"value": 7.0},
    "feed_lateness": {"value": 0.5},
    "failed_runs": {"value": 0.0},
    "failed_checks": {"value": 0.0},
    "held_loads": {"value": 0.0},
    "undelivered_alerts": {"value": 0.0},
    "viral_coefficient_now_ms": {"value": 12.0},
    "dashboard_heartbeat_minutes": {"value": 30.0, "size": 168},
    "viral_sync_rate": {"value": 0.99, "size": 4000},
    "success_trigger_accuracy": {"value": 0.98, "size": 300},
    "offline_queue_depth": {"value": 12.0},
    "integration_silent_minutes": {"value": 40.0},
    "critical_components": {"value": 0.0, "size": 6},
}


@pytest.fixture
def known(warehouse: Warehouse) -> Alerting:
    return alerting(POLICY, Addresses(warehouse.home, warehouse.home / "contacts.yml"))


def told(
    warehouse: Warehouse,
    known: Alerting,
    metrics: Mapping[str, Mapping[str, Any]],
    start: datetime,
    times: Sequence[timedelta],
) -> list[str]:
    """Give these samples at each of these times after start, and look each time: what people are told, in order."""
    heard = []
    for after in times:
        with warehouse.connect() as connection:
            add_samples(
                connection, [{"metric": name, "sampled_at": start + after, **one} for name, one in metrics.items()]
            )
        look = store(warehouse, known.rules, known.contacts, start + after)
        heard += [f"{one.incident.rule}: {one.reason.value}" for one in look.due]
    return heard


def every(step: timedelta, until: timedelta) -> list[timedelta]:
    return [step * number for number in range(int(until / step) + 1)]


def test_the_rules_know_every_metric_that_is_measured_here(known: Alerting):
    assert set(WELL) <= METRICS.keys()
    assert {rule.metric for rule in known.rules} - {"ai_success_rate"} <= set(WELL)


def test_nobody_hears_of_a_business_that_is_well(warehouse: Warehouse, known: Alerting):
    assert told(warehouse, known, WELL, NOW, every(2 * HOUR, 3 * 24 * HOUR)) == []


def test_nobody_hears_of_an_installation_in_which_nothing_has_happened_yet(warehouse: Warehouse, known: Alerting):
    """Prevents a first day of pages about numbers that nobody has."""
    with warehouse.connect(autocommit=True) as connection:
        found = {name: measure(connection, NOW, name, POLICY) for name in METRICS}
    measured = {
        name: {key: value for key, value in sample.items() if key not in ("metric", "sampled_at")}
        for name, sample in found.items()
        if sample is not None
    }
    assert UP in measured
    assert told(warehouse, known, measured, NOW, every(2 * HOUR, 4 * 24 * HOUR)) == []


def test_a_company_that_stops_its_campaigns_is_told_once_and_paged_by_nobody(warehouse: Warehouse, known: Alerting):
    assert told(warehouse, known, WELL, NOW, [timedelta()]) == []
    without = WELL | {name: {} for name in ("campaign_conversion_rate", "recent_campaign_conversion_rate")}
    heard = told(warehouse, known, without, NOW + HOUR, every(HOUR, 50 * HOUR))
    assert sorted(heard) == ["conversion_rate_drop: data_lost", "conversion_rate_low: data_lost"]
    with warehouse.connect() as connection:
        rows = connection.execute("select distinct severity, channel from ops.alert_outbox").fetchall()
    assert rows == [("warning", "file")]
    # What cannot be judged explains nothing: what is critical is told.
    ill = without | {"critical_components": {"value": 3.0, "size": 6, "label": "campaign_delivery"}}
    heard = told(warehouse, known, ill, NOW + 52 * HOUR, every(MINUTE, 10 * MINUTE))
    assert [one for one in heard if "system" in one] == ["system_health_critical: fired"]


def test_a_fall_of_the_rate_is_told_once_as_what_it_is(warehouse: Warehouse, known: Alerting):
    fallen = WELL | {
        "campaign_conversion_rate": {"value": 0.36, "low": 0.34, "high": 0.38, "size": 90_000},
        "recent_campaign_conversion_rate": {"value": 0.28, "low": 0.25, "high": 0.31, "size": 9_000, "maturity": 0.5},
    }
    assert told(warehouse, known, fallen, NOW, every(30 * MINUTE, 10 * HOUR)) == ["conversion_rate_drop: fired"]


def test_a_start_after_a_long_stop_pages_nobody(warehouse: Warehouse, known: Alerting):
    """Prevents a page with each upgrade that takes a while, since the marts are old until the first refresh."""
    assert told(warehouse, known, WELL, NOW, [timedelta(), MINUTE]) == []
    old = WELL | {"marts_age_minutes": {"value": 130.0}}
    assert told(warehouse, known, old, NOW + 2 * HOUR, every(MINUTE, 18 * MINUTE)) == []
    assert told(warehouse, known, WELL, NOW + 2 * HOUR + 19 * MINUTE, every(MINUTE, 5 * MINUTE)) == []


def test_marts_that_stay_old_are_told_and_keep_what_is_computed_from_them_quiet(warehouse: Warehouse, known: Alerting):
    stuck = WELL | {
        "marts_age_minutes": {"value": 130.0},
        "dashboard_heartbeat_minutes": {"value": 500.0, "size": 168},
        "integration_silent_minutes": {"value": 500.0},
    }
    heard = told(warehouse, known, stuck, NOW, every(MINUTE, 4 * MINUTE))
    assert heard == []
    calm = WELL | {"marts_age_minutes": {"value": 130.0}}
    assert told(warehouse, known, calm, NOW + 5 * MINUTE, every(MINUTE, 16 * MINUTE)) == ["marts_late: fired"]
    assert told(warehouse, known, stuck, NOW + 22 * MINUTE, every(MINUTE, 10 * MINUTE)) == []


# What is measured of the engine being up.
OF_UPTIME = ("error_budget_burn", "error_budget_spent")


def up_before(warehouse: Warehouse, start: datetime, minutes: int) -> None:
    """The engine answered in so many minutes before start."""
    with warehouse.connect() as connection:
        add_samples(
            connection,
            [{"metric": UP, "sampled_at": start - number * MINUTE, "value": 1.0} for number in range(1, minutes + 1)],
        )


def lived(warehouse: Warehouse, known: Alerting, start: datetime, minutes: Sequence[float | None]) -> list[str]:
    """What people are told of minutes in which the engine answered (1), did not (0), or was stopped (None)."""
    rules = [rule for rule in known.rules if rule.metric in (UP, *OF_UPTIME)]
    heard = []
    for number, up in enumerate(minutes):
        now = start + number * MINUTE
        if up is None:
            continue
        with warehouse.connect(autocommit=True) as connection:
            found = [measure(connection, now, metric, POLICY) for metric in OF_UPTIME]
            given = [{"metric": UP, "sampled_at": now, "value": up}, *(one for one in found if one is not None)]
            add_samples(connection, given)
        heard += [f"{one.incident.rule}: {one.reason.value}" for one in store(warehouse, rules, {}, now).due]
    return heard


@pytest.mark.parametrize(
    ("down", "told_of_it"), [(0.0, ["engine_silent: fired", "engine_silent: resolved"]), (None, [])]
)
def test_an_outage_pages_while_it_lasts_and_nobody_once_it_is_over(
    warehouse: Warehouse, known: Alerting, down: float | None, told_of_it: list[str]
):
    """Prevents a page after each upgrade, and for six hours after each outage, of what nobody can do anything about."""
    up_before(warehouse, NOW, 400)
    assert lived(warehouse, known, NOW, [1.0] * 2 + [down] * 40 + [1.0] * 70) == told_of_it


def test_a_budget_that_goes_on_burning_is_told_while_it_does(warehouse: Warehouse, known: Alerting):
    """Prevents an engine that fails for a minute again and again, never long enough for anybody to hear of it."""
    up_before(warehouse, NOW, 400)
    heard = lived(warehouse, known, NOW, ([0.0] + [1.0] * 5) * 18)
    assert heard == ["error_budget_burning: fired"]
    assert lived(warehouse, known, NOW + 108 * MINUTE, [1.0] * 62) == ["error_budget_burning: resolved"]


def test_a_budget_is_spent_once_all_of_it_is(warehouse: Warehouse, known: Alerting):
    """Prevents a spent month after one missed minute of the first day."""
    start = NOW - 20 * 24 * HOUR
    up_before(warehouse, start, 400)
    assert lived(warehouse, known, start, [1.0] * 10 + [None] * 43 + [1.0] * 70) == []
    later = start + 24 * HOUR
    up_before(warehouse, later, 24 * 60 - 123)
    heard = lived(warehouse, known, later, [1.0] * 2 + [None] * 2 + [1.0] * 70)
    assert heard == ["uptime_low: fired"]
    with warehouse.connect() as connection:
        (body,) = connection.execute("select body from ops.alert_outbox where reason = 'fired' limit 1").fetchone()
    assert "(45 minutes down, 43.2 allowed in 30 days)" in body


def told_of(warehouse: Warehouse, known: Alerting, rule: str, start: datetime, times: Sequence[timedelta]) -> list[str]:
    """What people are told of one rule when its metric is measured at each of these times after start."""
    one, heard = known.by_name[rule], []
    for after in times:
        with warehouse.connect(autocommit=True) as connection:
            found = measure(connection, start + after, one.metric, POLICY)
            add_samples(connection, [found] if found is not None else [])
        heard += [told.reason.value for told in store(warehouse, [one], {}, start + after).due]
    return heard


def test_a_failure_of_ai_is_over_with_the_try_that_closes_the_breaker_and_the_next_is_told(
    warehouse: Warehouse, known: Alerting
):
    """Prevents an incident that never ends, since the switch that it turns keeps the jobs away that would end it."""
    name, minutes = "ai_generation_failure", every(MINUTE, 20 * MINUTE)
    jobs_ended(warehouse, NOW, *[False] * 20)
    assert told_of(warehouse, known, name, NOW + MINUTE, minutes) == ["fired"]
    breaker_turned(warehouse, "open", NOW + MINUTE)
    breaker_turned(warehouse, "half_open", NOW + 31 * MINUTE)
    jobs_ended(warehouse, NOW + 32 * MINUTE, True, True, True)
    assert told_of(warehouse, known, name, NOW + 33 * MINUTE, minutes) == []
    breaker_turned(warehouse, "closed", NOW + 54 * MINUTE)
    # After an hour without a job, too.
    later = NOW + 3 * HOUR
    assert told_of(warehouse, known, name, later, minutes) == ["resolved"]
    # A few that fail are no evidence that it is well, nor that it is not.
    jobs_ended(warehouse, later + 30 * MINUTE, False, False, False)
    assert told_of(warehouse, known, name, later + 31 * MINUTE, minutes) == []
    jobs_ended(warehouse, later + 60 * MINUTE, *[False] * 17)
    assert told_of(warehouse, known, name, later + 61 * MINUTE, minutes) == ["fired"]


def test_an_ai_of_which_nobody_hears_for_a_week_is_told(warehouse: Warehouse, known: Alerting):
    name = "ai_generation_failure"
    jobs_ended(warehouse, NOW, *[True] * 20)
    assert told_of(warehouse, known, name, NOW + MINUTE, every(MINUTE, HOUR)) == []
    assert told_of(warehouse, known, name, NOW + 7 * 24 * HOUR, [timedelta()]) == []
    assert told_of(warehouse, known, name, NOW + 9 * 24 * HOUR, [timedelta()]) == ["data_lost"]
