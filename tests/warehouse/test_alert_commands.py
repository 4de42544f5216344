"""`marketing alerts` and `marketing switch`, as typed."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.alerts.routing import Kind
from orchestration.alerts.rules import Severity
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from orchestration.warehouse.alerts import open_incident
from orchestration.warehouse.failures import RunFailure, record_failure
from orchestration.warehouse.metric_samples import add_samples
from tests.receivers import http_receiver, webhook_fault
from tests.shell import Shell

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
POLICY = Policy.load(REPOSITORY / "dbt_project.yml", os.environ)


@pytest.fixture
def shell(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(warehouse, monkeypatch)


@pytest.fixture
def failing(warehouse: Warehouse, shell: Shell) -> Shell:
    with warehouse.connect() as connection:
        record_failure(connection, RunFailure("a", "refresh", datetime.now(UTC), "out of memory"))
    return shell


def test_what_is_wrong_is_told_listed_explained_and_taken_on(failing: Shell):
    checked = failing.type("alerts check")
    assert checked.exit_code == 0
    assert "run_failed: fired to file" in checked.output
    assert failing.lines()[0]["title"] == "warning: A run has failed"
    assert "http://127.0.0.1:3000/runs/a" in failing.lines()[0]["text"]
    listed = failing.type("alerts list").output
    assert "run_failed" in listed
    assert "no address of mail, pagerduty, slack" in listed
    explained = failing.type("alerts explain run_failed").output
    assert "firing since" in explained
    assert "breach" in explained
    assert failing.type("alerts ack 1 --author ann").output == "incident 1 is acknowledged\n"
    assert failing.type("alerts ack 9").exit_code == 1


def test_a_silence_holds_is_listed_and_ends_early(failing: Shell):
    silenced = failing.type("alerts silence all --for 2h --author ann --reason", "moving house")
    assert silenced.output.startswith("silence 1: all until ")
    failing.type("alerts check")
    assert failing.lines() == []
    assert "by ann: moving house" in failing.type("alerts list").output
    explained = failing.type("alerts explain run_failed").output
    assert "firing since" in explained
    assert "nobody is told: silence 1 until" in explained
    assert failing.type("alerts unsilence 1").output == "silence 1 is over\n"
    assert failing.type("alerts unsilence 1").exit_code == 1
    failing.type("alerts check")
    assert len(failing.lines()) == 1


def test_what_another_rule_explains_is_told_of_nobody_and_says_so(shell: Shell, warehouse: Warehouse):
    """Prevents somebody from waiting for a message that will not come."""
    with warehouse.connect() as connection:
        open_incident(connection, "marts_late", Kind.THRESHOLD, Severity.CRITICAL, datetime.now(UTC))
        open_incident(connection, "conversion_rate_drop", Kind.THRESHOLD, Severity.CRITICAL, datetime.now(UTC))
    explained = shell.type("alerts explain conversion_rate_drop").output
    assert "nobody is told: marts_late fires, which explains it" in explained
    listed = shell.type("alerts list").output
    assert "incident 2 (conversion_rate_drop): nobody is told, since marts_late explains it" in listed
    assert "incident 1 (marts_late)" not in listed


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("alerts explain nonsense", "expected one of viral_coefficient_low,"),
        ("alerts silence nonsense --for 1h --reason x", "expected one of viral_coefficient_low,"),
        ("alerts silence all --for soon --reason x", "expected a duration such as 30m, 6h, 2d"),
        ("alerts silence all --for 99999999999d --reason x", "of 366 days at most"),
        ("alerts silence all --for 0m --reason x", "expected a duration"),
        ("alerts test fax", "expected some of file, which have an address"),
        ("switch ai_content off", "marketing switch ai_content on|off --reason WHY"),
        ("switch coffee off --reason x", "'coffee' is not one of 'ai_content'"),
    ],
)
def test_wrong_usage_says_what_is_expected(shell: Shell, line: str, told: str):
    result = shell.type(line)
    assert result.exit_code == 2
    assert told in " ".join(result.output.replace("│", "").split())


def test_channels_are_tried_by_their_true_addresses(shell: Shell):
    """Prevents an address of which nobody learns that it is wrong until the night when it matters."""
    with http_receiver(webhook_fault([SECRET])) as receiver:
        shell.environ.setenv("MARKETING_ALERT_WEBHOOK_URL", receiver.url)
        shell.environ.setenv("MARKETING_ALERT_WEBHOOK_SECRET", SECRET)
        refused = shell.type("alerts test webhook")
        assert refused.exit_code == 1
        assert "private address" in refused.output
        shell.environ.setenv("MARKETING_ALERT_WEBHOOK_PRIVATE", "true")
        tried = shell.type("alerts test")
        assert tried.exit_code == 0
        assert [payload["data"]["title"] for payload in receiver.taken] == ["test: nothing is wrong", "over: test"]
        assert len({payload["data"]["incident"] for payload in receiver.taken}) == 1
    assert [line["reason"] for line in shell.lines()] == ["test", "test"]


def test_switched_off_nothing_is_sent_by_hand_either(failing: Shell):
    failing.environ.setenv("MARKETING_AUTOMATION_ENABLED", "false")
    for line in ("alerts check", "alerts test"):
        result = failing.type(line)
        assert (result.exit_code, "nothing is sent" in result.output) == (1, True)
    assert failing.lines() == []
    assert failing.type("alerts list").exit_code == 0


def test_a_switch_is_turned_and_says_who_did_it(shell: Shell):
    assert "on" in shell.type("switch").output
    assert shell.type("switch ai_content off --author ann --reason", "too dear").output == "ai_content is off\n"
    assert shell.type("switch ai_content off --reason again").output == "ai_content was off already\n"
    listed = shell.type("switch").output
    assert "ann" in listed
    assert "too dear" in listed


def test_whether_a_monitor_is_at_work_is_an_exit_code(shell: Shell, warehouse: Warehouse):
    def sampled(ahead: timedelta) -> None:
        with warehouse.connect() as connection:
            add_samples(connection, [{"metric": "engine_up", "sampled_at": datetime.now(UTC) + ahead, "value": 1.0}])

    assert shell.type("monitor --check").exit_code == 1
    # Of a clock that was ahead: it would vouch for a day in which nobody is at work.
    sampled(timedelta(days=1))
    assert shell.type("monitor --check").exit_code == 1
    sampled(timedelta())
    assert shell.type("monitor --check").exit_code == 0


def test_viral_rules_say_that_they_rest(shell: Shell):
    shell.environ.setenv("VIRAL_TRACKING_ENABLED", "false")
    assert "resting, since VIRAL_TRACKING_ENABLED is false: viral_coefficient_low" in shell.type("alerts list").output
    assert shell.type("alerts explain viral_coefficient_low").exit_code == 2
