"""A round as it runs unattended: measured, judged, stored, sent to the file."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.alerts.alerting import FILE, Addresses, Alerting, alerting, webhook_secret
from orchestration.alerts.channels import FileTransport, WebhookTransport
from orchestration.alerts.check import look
from orchestration.alerts.rounds import go_round, is_news, take_samples
from orchestration.alerts.rules import RulesError
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.failures import RunFailure, record_failure
from orchestration.warehouse.metric_sources import METRICS, measure

POLICY = Policy.load(REPOSITORY / "dbt_project.yml", os.environ)


def known(warehouse: Warehouse, **addresses) -> Alerting:
    return alerting(POLICY, Addresses(warehouse.home, warehouse.home / "contacts.yml", **addresses))


def fail(warehouse: Warehouse, run_id: str) -> None:
    with warehouse.connect() as connection:
        record_failure(connection, RunFailure(run_id, "refresh", datetime.now(UTC), "out of memory"))


def lines(warehouse: Warehouse) -> list[dict]:
    path = warehouse.home / "alerts" / "alerts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_failed_run_is_told_once_and_told_to_be_over(warehouse: Warehouse):
    """Prevents an engine that fails at night and says so to nobody."""
    rules = known(warehouse)
    assert go_round(warehouse, rules, POLICY).sent == 0
    assert is_news(warehouse, rules, datetime.now(UTC)) == (False, "")
    fail(warehouse, "a")
    take_samples(warehouse, datetime.now(UTC))
    news, told = is_news(warehouse, rules, datetime.now(UTC))
    assert news
    assert told == "run_failed"
    assert lines(warehouse) == []
    assert go_round(warehouse, rules, POLICY, link="run 1").sent == 1
    fail(warehouse, "b")
    assert go_round(warehouse, rules, POLICY).sent == 0
    with warehouse.connect() as connection:
        connection.execute("update ops.run_failures set failed_at = failed_at - interval '2 days'")
    assert go_round(warehouse, rules, POLICY).sent == 1
    assert [line["title"] for line in lines(warehouse)] == [
        "warning: A run has failed within the last day", "over: A run has failed within the last day"
    ]  # fmt: skip
    assert "more: run 1" in lines(warehouse)[0]["text"]


def test_every_metric_can_be_measured_before_anything_is_there(warehouse: Warehouse):
    """Prevents a fresh installation that begins with errors, or with alerts."""
    with warehouse.connect(autocommit=True) as connection:
        for metric in METRICS:
            sample = measure(connection, datetime.now(UTC), metric)
            assert sample is None or sample.get("error") is None, metric
    found = go_round(warehouse, known(warehouse), POLICY)
    assert found.look.due == []


def test_what_cannot_be_measured_is_a_sample_that_says_why(warehouse: Warehouse):
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("drop table ops.run_failures cascade")
        assert "run_failures" in measure(connection, datetime.now(UTC), "failed_runs")["error"]


def test_samples_of_one_time_are_one(warehouse: Warehouse):
    now = datetime.now(UTC)
    first = take_samples(warehouse, now)
    assert first > 0
    assert take_samples(warehouse, now) == 0
    with warehouse.connect() as connection:
        assert stored.delete_samples(connection, now) == 0
        assert stored.delete_samples(connection, now + timedelta(seconds=1)) == first


def test_channels_without_an_address_go_to_the_file(warehouse: Warehouse):
    rules = known(warehouse)
    assert {channel for rule in rules.rules for channel in rule.channels} == {FILE}
    assert rules.without_address == {"slack", "mail", "pagerduty"}
    contacts = "channels:\n  slack: slack://a/b/c\nowners:\n  Infrastructure: {escalation: [slack, mail]}\n"
    (warehouse.home / "contacts.yml").write_text(contacts)
    addressed = known(warehouse)
    assert addressed.by_name["marts_late"].channels == (FILE, "slack")
    assert addressed.contacts["Infrastructure"].escalation == ("slack", FILE)


def test_a_webhook_without_a_secret_gets_one_that_stays(warehouse: Warehouse):
    webhook = known(warehouse, webhook_url="https://hooks.example.com/x").transports["webhook"]
    assert isinstance(webhook, WebhookTransport)
    assert all("webhook" in rule.channels for rule in known(warehouse, webhook_url="https://hooks.example.com/x").rules)
    assert "example" not in repr(webhook)
    assert webhook.secrets == (webhook_secret(warehouse.home),)
    assert (warehouse.home / "keys" / "webhook").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("channels: {slack: nonsense-with-a-secret}", "channels.slack: String should match pattern"),
        ("channel: {}", "channel: Extra inputs are not permitted"),
        ("owners: {A: {channels: [fax]}}", "owner A: 'fax' is no channel"),
        ("channels: [", "not YAML"),
        ("channels:\n  mail: mailtos://u:nonsense-with-a-secret@host: x", "line 2, column"),
    ],
)
def test_a_malformed_contacts_file_is_refused_without_showing_secrets(warehouse: Warehouse, text: str, fault: str):
    (warehouse.home / "contacts.yml").write_text(text)
    with pytest.raises(RulesError) as caught:
        known(warehouse)
    assert fault in str(caught.value)
    assert "nonsense-with-a-secret" not in str(caught.value)


def test_the_file_that_cannot_be_written_is_tried_again(warehouse: Warehouse, tmp_path: Path):
    (tmp_path / "in the way").write_text("")
    fail(warehouse, "a")
    rules = known(warehouse)
    blocked = Alerting(
        rules.rules, rules.contacts, {FILE: FileTransport(tmp_path / "in the way" / "a.jsonl")}, frozenset()
    )
    assert go_round(warehouse, blocked, POLICY).sent == 0
    with warehouse.connect() as connection:
        connection.execute("update ops.alert_outbox set due_at = now()")
        assert (
            look(connection, rules.rules, rules.contacts, datetime.now(UTC))
            .evaluations["run_failed"]
            .standing.is_firing
        )
    assert go_round(warehouse, rules, POLICY).sent == 1
