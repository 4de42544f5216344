"""Alerts in Dagster: a sensor that asks only when there is something to store."""

import json
import os
from datetime import UTC, datetime

import dagster as dg
import pytest

from orchestration.alerts.alerting import Addresses
from orchestration.alerts.defs import JOB, alerts_definitions
from orchestration.alerts.rounds import take_samples
from orchestration.alerts.sender import LIMIT_SECONDS
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from orchestration.warehouse.failures import RunFailure, record_failure

POLICY = Policy.load(REPOSITORY / "dbt_project.yml", os.environ)


def shown(warehouse: Warehouse, *, may_ask: bool = True) -> dg.Definitions:
    addresses = Addresses(warehouse.home, warehouse.home / "contacts.yml")
    return alerts_definitions(
        warehouse, POLICY, addresses=addresses, ui="http://127.0.0.1:3000", interval_ms=30_000, may_ask=may_ask
    )


def asked(definitions: dg.Definitions) -> dg.RunRequest | dg.SkipReason:
    sensor = definitions.resolve_sensor_def("alert_sensor")
    with dg.DagsterInstance.ephemeral() as instance:
        return sensor(dg.build_sensor_context(instance=instance))


@pytest.fixture
def failing(warehouse: Warehouse) -> Warehouse:
    with warehouse.connect() as connection:
        record_failure(connection, RunFailure("a", "refresh", datetime.now(UTC), "out of memory"))
    take_samples(warehouse, POLICY, datetime.now(UTC))
    return warehouse


def test_nothing_changed_asks_for_nothing(warehouse: Warehouse):
    """Prevents thousands of runs a day that find nothing to do."""
    definitions = shown(warehouse)
    assert definitions.resolve_sensor_def("alert_sensor").minimum_interval_seconds == 30
    assert asked(definitions).skip_message == "nothing has changed"
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from ops.metric_samples").fetchone() == (0,)


def test_a_change_asks_for_one_run_which_tells_it(failing: Warehouse):
    definitions = shown(failing)
    assert asked(definitions).tags["marketing/reason"].startswith("run_failed, ")
    assert definitions.resolve_job_def(JOB).execute_in_process().success
    (line,) = (failing.home / "alerts" / "alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["title"] == "warning: A run has failed"
    assert "more: http://127.0.0.1:3000/runs/a" in json.loads(line)["text"]
    assert asked(definitions).skip_message == "nothing has changed"


def test_a_run_that_hangs_is_ended(warehouse: Warehouse):
    """Prevents one run that keeps every later one from being asked for."""
    limit = int(shown(warehouse).resolve_job_def(JOB).run_tags["dagster/max_runtime"])
    assert 2 * (POLICY.alert_round_seconds + LIMIT_SECONDS) < limit <= 60 * POLICY.alert_unjudged_minutes


def test_switched_off_it_says_so(failing: Warehouse):
    assert asked(shown(failing, may_ask=False)).skip_message == "MARKETING_AUTOMATION_ENABLED is false"
