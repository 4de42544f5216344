"""A round as it runs unattended: measured, judged, stored, sent to the file."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.alerts.alerting import FILE, Addresses, Alerting, alerting, webhook_secret
from orchestration.alerts.channels import FileTransport, WebhookTransport
from orchestration.alerts.check import Links, look, store
from orchestration.alerts.rounds import Round, go_round, is_news, take_samples
from orchestration.alerts.rules import RulesError
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.failures import RunFailure, record_failure
from orchestration.warehouse.metric_samples import add_samples
from orchestration.warehouse.metric_sources import METRICS, SAMPLE_LIMIT_MS, measure
from orchestration.warehouse.switches import AI_CONTENT, is_on
from tests.incidents import NOW

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
        connection.execute("update ops.run_failures set recorded_at = recorded_at - interval '2 hours'")
    assert round_of(warehouse, rules).sent == 1
    assert [line["title"] for line in lines(warehouse)] == [
        "warning: A run has failed", "over: A run has failed"
    ]  # fmt: skip
    # Of the run that failed, not of the one that tells.
    assert "more: http://ui.example/runs/a" in lines(warehouse)[0]["text"]


def test_that_a_rule_can_be_judged_is_stored_once_so_that_its_loss_is_told(warehouse: Warehouse):
    """Prevents data that stop while the engine is off, of a rule that never fired, and nobody who is told."""
    rules = known(warehouse)
    (rule,) = (one for one in rules.rules if one.name == "marts_late")
    assert rule.no_data_after is not None
    now = datetime.now(UTC)
    long_ago = now - rule.looks_back - timedelta(days=1)
    with warehouse.connect() as connection:
        add_samples(connection, [{"metric": rule.metric, "sampled_at": long_ago, "value": 0.0}])
    news, told = is_news(warehouse, rules, long_ago)
    assert (news, told) == (True, "marts_late: can be judged")
    store(warehouse, rules.rules, rules.contacts, long_ago, resting=rules.resting)
    assert is_news(warehouse, rules, long_ago) == (False, "")
    with warehouse.connect() as connection:
        samples = [now - rule.no_data_after - timedelta(minutes=1), now]
        add_samples(connection, [{"metric": rule.metric, "sampled_at": at, "value": None} for at in samples])
    found = store(warehouse, rules.rules, rules.contacts, now, resting=rules.resting)
    assert [(told.incident.rule, told.reason.value) for told in found.due] == [("marts_late", "data_lost")]


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
        slow = "select pg_sleep(9)::text as run_id, 'job' as job_name, now() - interval '1 minute' as failed_at"
        connection.execute(f"create view ops.run_failures as select *, failed_at as recorded_at from ({slow}) as runs")
        connection.execute("set statement_timeout = 50")
        sample = measure(connection, datetime.now(UTC), "failed_runs", POLICY)
        assert sample["error"] == "took too long"


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
        ("owners: {Infrastucture: {channels: [mail]}}", "owner Infrastucture: no rule's, expected one of AI/ML, Infra"),
        ("channels: {slack: nonsense-with-a-secret}\nowners: {On-Call: {channels: [fax]}}", "On-Call: 'fax' is no"),
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


def load(warehouse: Warehouse, feed: str, *hours_ago: float, status: str = "loaded") -> None:
    """Loads of a feed, which ended so many hours ago."""
    with warehouse.connect() as connection:
        for hours in hours_ago:
            connection.execute(
                """
                insert into raw.loads (feed, source, checksum, status, started_at, finished_at)
                values (%(feed)s, %(source)s, %(source)s, %(status)s, %(at)s, %(at)s)
                """,
                {
                    "feed": feed,
                    "source": f"{feed}/{hours}",
                    "status": status,
                    "at": datetime.now(UTC) - timedelta(hours=hours),
                },
            )


def sample_of(warehouse: Warehouse, metric: str) -> dict:
    with warehouse.connect(autocommit=True) as connection:
        return measure(connection, datetime.now(UTC), metric, POLICY) or {}


def test_a_feed_is_late_by_its_own_habit(warehouse: Warehouse):
    """Prevents an alert that is always open because surveys come once a week, or a backfill came once."""
    load(warehouse, "attribution_truth", 100, 268, 436)
    load(warehouse, "refunds", 2000)
    load(warehouse, "users", 1, 25, 49)
    calm = sample_of(warehouse, "feed_lateness")
    assert calm["value"] < 1
    load(warehouse, "touchpoints", 60, 84)
    late = sample_of(warehouse, "feed_lateness")
    assert late["value"] == pytest.approx(60 / 36, rel=1e-3)
    assert late["label"] == "touchpoints: 60 hours ago, allowed are 36"
    load(warehouse, "conversions", 50, 74)
    both = sample_of(warehouse, "feed_lateness")
    assert both["value"] == pytest.approx(60 / 36, rel=1e-3)
    assert both["label"] == "conversions: 50 hours ago, allowed are 36; touchpoints: 60 hours ago, allowed are 36"


def test_files_of_one_delivery_are_no_habit(warehouse: Warehouse):
    """Prevents a feed of twelve files a week from being late each week, by the seconds between them."""
    files = [number * 0.01 for number in range(12)]
    load(warehouse, "attribution_truth", *[week * 168 + 100 + hours for week in range(4) for hours in files])
    weekly = sample_of(warehouse, "feed_lateness")
    assert weekly["value"] == pytest.approx(100 / (1.5 * 168), rel=1e-2)
    # One delivery, of which nobody knows whether there will be another.
    load(warehouse, "refunds", *[2000 + hours for hours in files])
    assert sample_of(warehouse, "feed_lateness")["label"].startswith("attribution_truth")


def test_a_feed_that_comes_all_the_time_is_late_in_spite_of_one_long_pause(warehouse: Warehouse):
    """Prevents an outage that makes the next one last as long before anybody hears of it."""
    load(warehouse, "touchpoints", *[30 + step / 2 for step in range(200)], *[230 + step / 2 for step in range(200)])
    late = sample_of(warehouse, "feed_lateness")
    assert late["label"] == f"touchpoints: 30 hours ago, allowed are {POLICY.raw_max_age_hours}"


def test_of_what_a_late_feed_tells_nothing_is_said(warehouse: Warehouse):
    """Prevents a page about a rate that only looks low because conversions did not arrive, or are held."""
    for feed in ("campaign_events", "users"):
        load(warehouse, feed, 1, 25)
    load(warehouse, "conversions", 70, 94)
    assert sample_of(warehouse, "recent_campaign_conversion_rate")["label"].startswith(
        "computed from a feed that is late: conversions"
    )
    load(warehouse, "conversions", 1, status="held")
    assert "conversions" in sample_of(warehouse, "recent_campaign_conversion_rate")["label"]
    load(warehouse, "conversions", 0.5)
    assert "label" not in sample_of(warehouse, "recent_campaign_conversion_rate")


def test_an_engine_that_cannot_answer_is_down_and_a_read_that_takes_too_long_is_slow(warehouse: Warehouse):
    """Prevents slowness, and outage, that are left out of their own measure."""
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("create view marts.scorecard as select pg_sleep(9)::text as metric")
        connection.execute("set statement_timeout = 50")
        now = datetime.now(UTC)
        assert measure(connection, now, "engine_up", POLICY)["value"] == 0
        assert measure(connection, now, "scorecard_ms", POLICY)["value"] == SAMPLE_LIMIT_MS


def test_what_is_over_by_the_time_it_is_told_switches_nothing_off(warehouse: Warehouse):
    """Prevents an outage of the watch that ends with AI switched off for a trouble long gone."""
    rule = known(warehouse).by_name["ai_generation_failure"]
    samples = [0.5] * 7 + [0.99] * 20
    with warehouse.connect() as connection:
        add_samples(
            connection,
            [
                {
                    "metric": rule.metric,
                    "sampled_at": NOW + timedelta(minutes=minute),
                    "value": value,
                    "low": value - 0.01,
                    "high": value + 0.01,
                    "size": 100,
                    "maturity": 1.0,
                }
                for minute, value in enumerate(samples)
            ],
        )
    heard = store(warehouse, [rule], {}, NOW + timedelta(minutes=len(samples)))
    assert [told.reason.value for told in heard.due] == ["fired", "resolved"]
    with warehouse.connect() as connection:
        assert is_on(connection, AI_CONTENT)
        (body,) = connection.execute("select body from ops.alert_outbox where reason = 'fired' limit 1").fetchone()
    # With the number that it fired for, not with that of when it was told.
    assert "ai_success_rate: 0.5" in body


def test_contacts_that_were_named_must_be_there(warehouse: Warehouse):
    """Prevents a slip in MARKETING_CONTACTS after which every page goes to a file."""
    with pytest.raises(RulesError, match="MARKETING_CONTACTS: found no file"):
        known(warehouse, must_exist=True)
