"""The true clients of Slack, PagerDuty and mail, against servers that speak their protocols."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from apprise.plugins import pagerduty, slack

from orchestration.alerts.channels import AppriseTransport, Outcome, retry_after
from orchestration.warehouse.alerts import ClaimedMessage
from tests.receivers import Answer, http_receiver, mail_receiver, pagerduty_fault, slack_fault

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"
PAGERDUTY = f"pagerduty://{'b' * 32}@{'a' * 20}"
FIRED = ClaimedMessage(
    message_id=7,
    incident_id=3,
    rule="k_low",
    reason="fired",
    channel="slack",
    dedup_key="marketing-automation/k_low/threshold/3",
    severity="critical",
    is_over=False,
    title="critical: K is low",
    body="rule: k_low\nsince: 2026-03-01 12:00 UTC",
    fields={"rule": "k_low"},
    attempts=1,
    created_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)
OVER = replace(FIRED, reason="resolved", is_over=True, title="over: K is low")


def test_slack_gets_the_title_and_every_line(monkeypatch: pytest.MonkeyPatch):
    with http_receiver(slack_fault) as receiver:
        monkeypatch.setattr(slack.NotifySlack, "webhook_url", receiver.url.rstrip("/"))
        assert AppriseTransport(SLACK).send(FIRED) == Outcome()
    (payload,) = receiver.taken
    assert payload["attachments"][0]["title"] == FIRED.title
    assert payload["attachments"][0]["text"] == FIRED.body
    assert "http" not in str(payload), "a message that makes its reader ask a third server"


@pytest.mark.parametrize(
    ("answer", "is_final", "wait"),
    [
        (Answer(429, {"Retry-After": "7"}), False, timedelta(seconds=7)),
        (Answer(503), False, None),
        (Answer(404), True, None),
        (Answer(403, {"Retry-After": "7"}), True, None),
    ],
)
def test_what_slack_answers_says_whether_to_try_again(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, is_final: bool, wait: timedelta | None
):
    with http_receiver(slack_fault) as receiver:
        receiver.answers.append(answer)
        monkeypatch.setattr(slack.NotifySlack, "webhook_url", receiver.url.rstrip("/"))
        assert AppriseTransport(SLACK).send(FIRED) == Outcome(f"answered {answer.status}", is_final, wait)


def test_nobody_there_is_no_refusal(monkeypatch: pytest.MonkeyPatch):
    with http_receiver(slack_fault) as receiver:
        gone = receiver.url
    monkeypatch.setattr(slack.NotifySlack, "webhook_url", gone.rstrip("/"))
    assert AppriseTransport(SLACK).send(FIRED) == Outcome("no answer")


def test_pagerduty_sees_one_incident_and_its_end(monkeypatch: pytest.MonkeyPatch):
    """Prevents an incident of its own for each repeated message, and one that never closes."""
    with http_receiver(pagerduty_fault) as receiver:
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", receiver.url)
        for message in (FIRED, FIRED, OVER):
            assert AppriseTransport(PAGERDUTY).send(message) == Outcome()
    assert receiver.faults == []
    assert [payload["event_action"] for payload in receiver.taken] == ["trigger", "trigger", "resolve"]
    assert set(receiver.keys("dedup_key")) == {FIRED.dedup_key}
    assert receiver.taken[0]["payload"]["severity"] == "critical"


def test_mail_has_its_lines_and_a_busy_server_is_tried_again():
    with mail_receiver() as receiver:
        receiver.answers.append(Answer(451))
        busy = AppriseTransport(receiver.url).send(FIRED)
        assert (busy.error, busy.is_final) == ("no answer", False)
        assert AppriseTransport(receiver.url).send(FIRED) == Outcome()
    (mail,) = receiver.taken
    assert mail["subject"] == FIRED.title
    assert mail["to"] == "team@company.example"
    assert mail.get_payload(decode=True).decode().split("\r\n")[:2] == FIRED.body.split("\n")


def test_an_address_that_nobody_knows_is_refused_for_good():
    assert AppriseTransport("nothing-of-the-kind://x").send(FIRED).is_final


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(" 30 ", 30), ("9999999", 86_400), (format_datetime(datetime(2020, 1, 1, tzinfo=UTC)), 0)],
)
def test_retry_after_is_seconds_or_a_date(told: str, seconds: int):
    assert retry_after({"Retry-After": told}) == timedelta(seconds=seconds)


def test_a_date_to_come_is_waited_for():
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    assert timedelta(minutes=50) <= retry_after({"Retry-After": in_an_hour}) <= timedelta(hours=1)


@pytest.mark.parametrize(
    "headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}, {"Retry-After": "²"}, {"Retry-After": "9" * 5000}]
)
def test_no_retry_after_is_none(headers: Mapping[str, str]):
    assert retry_after(headers) is None
