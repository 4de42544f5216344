"""A round as it runs unattended: measured, judged, stored, sent to the file."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.alerts.alerting import FILE, Addresses, Alerting, alerting, webhook_secret
from orchestration.alerts.channels import FileTransport, WebhookTransport
from orchestration.alerts.check import Links, look
from orchestration.alerts.rounds import Round, go_round, is_news, take_samples
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


def round_of(warehouse: Warehouse, rules: Alerting, **options) -> Round:
    return go_round(warehouse, rules, POLICY, measures=True, **options)


def lines(warehouse: Warehouse) -> list[dict]:
    path = warehouse.home / "alerts" / "alerts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_failed_run_is_told_once_and_told_to_be_over(warehouse: Warehouse):
    """Prevents an engine that fails at night and says so to nobody."""
    rules = known(warehouse)
    assert round_of(warehouse, rules).sent == 0
    assert is_news(warehouse, rules, datetime.now(UTC)) == (False, "")
    fail(warehouse, "a")
    take_samples(warehouse, POLICY, datetime.now(UTC))
    news, told = is_news(warehouse, rules, datetime.now(UTC))
    assert news
    assert told == "run_failed"
    assert lines(warehouse) == []
    assert round_of(warehouse, rules, links=Links("http://ui.example", "told")).sent == 1
    fail(warehouse, "b")
    assert round_of(warehouse, rules).sent == 0
    with warehouse.connect() as connection:
        connection.execute("update ops.run_failures set failed_at = failed_at - interval '2 days'")
    assert round_of(warehouse, rules).sent == 1
    assert [line["title"] for line in lines(warehouse)] == [
        "warning: A run has failed within the last day", "over: A run has failed within the last day"
    ]  # fmt: skip
    # Of the run that failed, not of the one that tells.
    assert "more: http://ui.example/runs/a" in lines(warehouse)[0]["text"]


def test_every_metric_can_be_measured_before_anything_is_there(warehouse: Warehouse):
    """Prevents a fresh installation that begins with errors, or with alerts."""
    with warehouse.connect(autocommit=True) as connection:
        for metric in METRICS:
            sample = measure(connection, datetime.now(UTC), metric, POLICY)
            assert sample is None or sample.get("error") is None, metric
    assert round_of(warehouse, known(warehouse)).look.due == []


def test_what_cannot_be_measured_is_a_sample_that_says_why(warehouse: Warehouse):
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("drop table ops.run_failures cascade")
        sample = measure(connection, datetime.now(UTC), "failed_runs", POLICY)
        assert sample["error"] == "UndefinedTable (42P01)"
        slow = "select pg_sleep(9)::text as run_id, now() - interval '1 hour' as failed_at"
        connection.execute(f"create view ops.run_failures as {slow}")
        connection.execute("set statement_timeout = 50")
        sample = measure(connection, datetime.now(UTC), "failed_runs", POLICY)
        assert sample["error"] == "QueryCanceled (57014)"


def test_samples_of_one_time_are_one(warehouse: Warehouse):
    now = datetime.now(UTC)
    assert take_samples(warehouse, POLICY, now) > 0
    assert take_samples(warehouse, POLICY, now) == 0


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
        rules.rules,
        rules.resting,
        rules.contacts,
        {FILE: FileTransport(tmp_path / "in the way" / "a.jsonl")},
        frozenset(),
    )
    assert round_of(warehouse, blocked).sent == 0
    with warehouse.connect() as connection:
        connection.execute("update ops.alert_outbox set due_at = now()")
        assert (
            look(connection, rules.rules, rules.contacts, datetime.now(UTC))
            .evaluations["run_failed"]
            .standing.is_firing
        )
    assert round_of(warehouse, rules).sent == 1


def test_viral_rules_rest_while_tracking_is_off(warehouse: Warehouse):
    """Prevents an alert of the numbers of last month, or an incident closed because nobody measures."""
    off = alerting(
        POLICY.model_copy(update={"viral_tracking_enabled": False}),
        Addresses(warehouse.home, warehouse.home / "contacts.yml"),
    )
    assert off.resting == {"viral_coefficient_low"}
    assert "viral_coefficient_low" not in off.by_name
    with warehouse.connect() as connection:
        stored.open_incident(connection, "viral_coefficient_low", "threshold", "warning", datetime.now(UTC))
    assert round_of(warehouse, off).look.changed == []
    assert is_news(warehouse, off, datetime.now(UTC)) == (False, "")


def test_a_secret_that_cannot_sign_is_named_by_its_place(warehouse: Warehouse):
    with pytest.raises(RulesError) as caught:
        known(
            warehouse,
            webhook_url="https://x.example",
            webhook_secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "nonsense!"],
        )
    assert "MARKETING_ALERT_WEBHOOK_SECRET: secret 2" in str(caught.value)
    assert "nonsense" not in str(caught.value)
