"""The true clients of Slack, PagerDuty and mail, against servers that speak their protocols."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from apprise.plugins import pagerduty, slack

from orchestration.alerts.channels import AppriseTransport
from orchestration.alerts.delivery import together
from orchestration.alerts.sender import Sender
from orchestration.warehouse.alerts import ClaimedMessage
from orchestration.webhooks import Outcome
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
    """Prevents a mailbox that does not exist from being tried for a day."""
    with mail_receiver() as receiver:
        receiver.answers += [Answer(451), Answer(550)]
        assert AppriseTransport(receiver.url).send(FIRED) == Outcome("answered 451")
        assert AppriseTransport(receiver.url).send(FIRED) == Outcome("answered 550", is_final=True)
        assert AppriseTransport(receiver.url).send(FIRED) == Outcome()
    (mail,) = receiver.taken
    assert mail["subject"] == FIRED.title
    assert mail["to"] == "team@company.example"
    assert mail.get_payload(decode=True).decode().split("\r\n")[:2] == FIRED.body.split("\n")


def test_what_a_message_may_be_put_together_with():
    assert AppriseTransport(SLACK).takes_many
    assert not AppriseTransport(PAGERDUTY).takes_many
    second = replace(OVER, message_id=8, rule="feed_late", severity="info")
    both = together([second, FIRED])
    assert (both.title, both.severity, both.is_over) == ("2 alerts: feed_late, k_low", "critical", False)
    assert both.body == f"{second.title}\n{second.body}\n\n{FIRED.title}\n{FIRED.body}"
    assert together([second, OVER]).is_over
    assert together([FIRED]) is FIRED


class Slow:
    """A transport that is not done in time."""

    takes_many = False

    def send(self, message: ClaimedMessage) -> Outcome:
        time.sleep(30 if message.message_id == 7 else 0)
        return Outcome()


class Fatal:
    """A transport that takes its process down."""

    takes_many = False

    def send(self, _message: ClaimedMessage) -> Outcome:
        os._exit(1)


class Broken:
    """A transport that raises, with a secret."""

    takes_many = False

    def send(self, _message: ClaimedMessage) -> Outcome:
        raise ValueError("mailtos://user:hunter2@mail.example")


def test_a_message_has_its_time_and_the_next_one_its_own():
    """Prevents one receiver that answers a byte a minute from keeping all alerts back."""
    with Sender(limit_seconds=3) as sender:
        assert sender.send(Slow(), FIRED) == Outcome("no answer within 3 s")
        assert sender.send(Slow(), replace(FIRED, message_id=8)) == Outcome()
        assert sender.send(Fatal(), FIRED) == Outcome("the process that sends ended")
        assert sender.send(Broken(), FIRED) == Outcome("could not be sent: ValueError")
        assert sender.send(Slow(), replace(FIRED, message_id=9)) == Outcome()


def test_an_address_that_nobody_knows_is_refused_for_good():
    assert AppriseTransport("nothing-of-the-kind://x").send(FIRED).is_final
