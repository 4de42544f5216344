"""Alerts from outbox to receiver: never lost, never out of order, sent again where that may help."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from orchestration.alerts import delivery
from orchestration.alerts.channels import FileTransport, Transport, WebhookTransport
from orchestration.alerts.check import store
from orchestration.alerts.delivery import Patience, deliver
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.alerts import ClaimedMessage
from orchestration.webhooks import Outcome
from tests.incidents import CONTACTS, MINUTE, NOW, RULE, checked, measure, outbox
from tests.receivers import Answer, http_receiver, webhook_fault

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
POLICY = Policy.load(REPOSITORY / "dbt_project.yml", os.environ)
AT_ONCE = Patience(timedelta(milliseconds=1), timedelta(milliseconds=1), timedelta(hours=1))


def directly(transport: Transport, message: ClaimedMessage) -> Outcome:
    """As the sender's process does it, in this one."""
    return transport.send(message)


class Scripted:
    """Answers in turn; the last one for ever."""

    takes_many = False

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[ClaimedMessage] = []

    def send(self, message: ClaimedMessage) -> Outcome:
        self.sent.append(message)
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


class Chatty(Scripted):
    """Takes several messages as one."""

    takes_many = True


def test_what_is_due_at_once_comes_as_one_message_where_people_read_it(warehouse: Warehouse):
    """Prevents thirty messages in a channel when a server goes down."""
    rules = [RULE.model_copy(update={"name": f"rule_{number}"}) for number in range(30)]
    measure(warehouse, 0.3, 0.3, 0.3)
    store(warehouse, rules, CONTACTS, NOW + 2 * MINUTE)
    chat, machine = Chatty(Outcome("answered 503"), Outcome()), Scripted(Outcome())
    assert delivered(warehouse, chat, machine) == 60
    # The first twenty come back at any time within the wait.
    assert sorted(message.title.partition(":")[0] for message in chat.sent) == ["10 alerts", *["20 alerts"] * 2]
    assert len(machine.sent) == 30
    assert {row["status"] for row in outbox(warehouse)} == {"sent"}
    said = " ".join(message.body for message in chat.sent[1:])
    assert all(f"rule: {rule.name}\n" in said for rule in rules)


def test_what_is_refused_together_is_told_one_by_one_elsewhere(fired: Warehouse):
    chat, file = Chatty(Outcome("answered 404", is_final=True)), Scripted(Outcome())
    measure(fired, 0.45, start=NOW + 3 * MINUTE)
    assert checked(fired, 3) == ["resolved"]
    delivered(fired, chat, file)
    assert [message.reason for message in chat.sent] == ["fired", "resolved"]
    assert Counter(message.reason for message in file.sent) == {"fired": 1, "resolved": 1, "undelivered": 2}


def test_one_that_is_refused_for_good_takes_no_other_with_it(warehouse: Warehouse):
    """Prevents nine alerts that are lost with a tenth which a chat does not like."""
    rules = [RULE.model_copy(update={"name": f"rule_{number}", "channels": ("webhook",)}) for number in range(3)]
    measure(warehouse, 0.3, 0.3, 0.3)
    store(warehouse, rules, CONTACTS, NOW + 2 * MINUTE)

    class Picky(Chatty):
        def send(self, message: ClaimedMessage) -> Outcome:
            self.sent.append(message)
            return Outcome("answered 400", is_final=True) if "rule_1" in message.body else Outcome()

    chat, file = Picky(Outcome()), Scripted(Outcome())
    delivered(warehouse, chat, file)
    assert [message.rule for message in file.sent] == ["rule_1"]
    assert Counter(row["status"] for row in outbox(warehouse)) == {"sent": 3, "dead": 1}


class OneByOne(Chatty):
    """Refuses what comes together; takes a while for each by itself."""

    def send(self, message: ClaimedMessage) -> Outcome:
        if " alerts: " in message.title:
            return Outcome("answered 400", is_final=True)
        time.sleep(0.1)
        return super().send(message)


def test_what_is_sent_one_by_one_after_a_refusal_stays_with_its_sender(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    """Prevents that somebody else sends the nineteenth while its sender is at the fifth."""
    monkeypatch.setattr(delivery, "LEASE", timedelta(seconds=0.3))
    incidents(warehouse, 10)
    slow = OneByOne(Outcome())
    options = {"fallback": "webhook", "send": directly}
    others = [Thread(target=deliver, args=(warehouse, {"webhook": slow}, AT_ONCE), kwargs=options) for _ in range(2)]
    others[0].start()
    time.sleep(0.5)
    others[1].start()
    for one in others:
        one.join()
    assert Counter(message.message_id for message in slow.sent) == dict.fromkeys(
        [row["message_id"] for row in outbox(warehouse)], 1
    )


def test_what_is_sent_one_by_one_ends_with_the_round_or_a_failure_and_is_given_back(warehouse: Warehouse):
    incidents(warehouse, 5)
    slow = OneByOne(Outcome())
    options = {"fallback": "webhook", "send": directly}
    assert deliver(warehouse, {"webhook": slow}, AT_ONCE, limit=timedelta(seconds=0.15), **options) == 2
    slow.outcomes = [Outcome(), Outcome("no answer"), Outcome()]
    assert deliver(warehouse, {"webhook": slow}, AT_ONCE, **options) == 1
    time.sleep(0.003)
    assert deliver(warehouse, {"webhook": slow}, AT_ONCE, **options) == 2
    assert {row["status"] for row in outbox(warehouse)} == {"sent"}


def test_a_dead_message_is_told_by_another_way_to_people(fired: Warehouse):
    """Prevents that only a file on the engine's own disk knows of an alert that could not be sent."""
    chat, mail = Scripted(Outcome("answered 404", is_final=True)), Chatty(Outcome())
    file = Scripted(Outcome())
    deliver(
        fired,
        {"webhook": chat, "mail": mail, "file": file},
        AT_ONCE,
        fallback="file",
        send=directly,
        luck=Random(1),
    )
    assert [message.reason for message in mail.sent] == ["undelivered"]
    assert [message.reason for message in file.sent] == ["fired"]


@pytest.fixture
def fired(warehouse: Warehouse) -> Warehouse:
    """A warehouse with one message for each of two channels."""
    measure(warehouse, 0.3, 0.3, 0.3)
    assert checked(warehouse, 2) == ["fired"]
    return warehouse


def delivered(warehouse: Warehouse, webhook, file, patience: Patience = AT_ONCE) -> int:
    taken = 0
    for _look in range(20):
        taken += deliver(
            warehouse, {"webhook": webhook, "file": file}, patience, fallback="file", send=directly, luck=Random(1)
        )
        time.sleep(0.003)
    return taken


def test_what_fails_for_a_while_is_tried_again_until_it_is_taken(fired: Warehouse):
    webhook, file = Scripted(Outcome("answered 503"), Outcome("no answer"), Outcome()), Scripted(Outcome())
    assert delivered(fired, webhook, file) == 2
    assert [message.attempts for message in webhook.sent] == [1, 2, 3]
    assert {row["status"] for row in outbox(fired)} == {"sent"}


def test_what_is_refused_for_good_is_told_on_another_channel(fired: Warehouse):
    """Prevents an alert that nobody gets because an address is wrong."""
    webhook, file = Scripted(Outcome("answered 410", is_final=True)), Scripted(Outcome())
    delivered(fired, webhook, file)
    assert len(webhook.sent) == 1
    assert [message.title for message in file.sent] == [
        "critical: Fewer convert", "not delivered to webhook: critical: Fewer convert"
    ]  # fmt: skip
    assert Counter((row["channel"], row["status"]) for row in outbox(fired)) == {
        ("webhook", "dead"): 1, ("file", "sent"): 2
    }  # fmt: skip


def test_a_channel_without_an_address_is_told_on_the_other(fired: Warehouse):
    file = Scripted(Outcome())
    deliver(fired, {"file": file}, AT_ONCE, fallback="file", send=directly)
    assert "no address of the channel webhook is known" in file.sent[-1].body


def test_a_receiver_that_asks_for_time_gets_it(fired: Warehouse):
    webhook = Scripted(Outcome("answered 429", retry_after=timedelta(hours=1)))
    delivered(fired, webhook, Scripted(Outcome()))
    assert len(webhook.sent) == 1
    with fired.connect() as connection:
        assert stored.next_due(connection) > datetime.now(UTC) + timedelta(minutes=59)


def test_waits_double_up_to_a_limit_and_end():
    patience, now = Patience(timedelta(seconds=4), timedelta(minutes=1), timedelta(hours=1)), datetime.now(UTC)
    waits = [patience.wait(failures, Outcome("x"), Random(failures)) for failures in (1, 2, 3, 9, 400)]
    for wait, most in zip(waits, (4, 8, 16, 60, 60), strict=True):
        assert timedelta(seconds=most / 2) <= wait <= timedelta(seconds=most)
    message = ClaimedMessage(1, "fired", "c", "k", "info", False, "t", "b", {}, 1, "r", 1, now)
    assert not patience.is_over(message, now + timedelta(minutes=59))
    assert patience.is_over(message, now + timedelta(hours=1))


def incidents(warehouse: Warehouse, count: int, *channels: str, first: int = 0) -> None:
    """So many incidents, with a message for each of these channels."""
    update = {"channels": channels or ("webhook",)}
    rules = [RULE.model_copy(update=update | {"name": f"rule_{first + number}"}) for number in range(count)]
    measure(warehouse, 0.3, 0.3, 0.3)
    store(warehouse, rules, CONTACTS, NOW + 2 * MINUTE)


def test_a_receiver_that_is_dead_is_asked_once_in_a_round_and_all_wait_for_its_next_try(warehouse: Warehouse):
    """Prevents one receiver without an answer that keeps every rule from being judged for half an hour."""
    incidents(warehouse, 10, "webhook", "file")
    # Due again before the others have had their turn, as with a time-out of seconds.
    eager = Patience(timedelta(milliseconds=1), timedelta(milliseconds=1), timedelta(hours=1))

    def no_answer(transport: Transport, message: ClaimedMessage) -> Outcome:
        time.sleep(0.01)
        return transport.send(message)

    dead, file = Scripted(Outcome("no answer")), Scripted(Outcome())
    transports = {"webhook": dead, "file": file}
    assert deliver(warehouse, transports, eager, fallback="file", send=no_answer) == 10
    assert len(dead.sent) == 1
    waiting = [row for row in outbox(warehouse) if row["channel"] == "webhook"]
    assert sorted(row["attempts"] for row in waiting) == [0] * 9 + [1]
    assert len({row["due_at"] for row in waiting}) == 1


def test_a_channel_that_goes_on_failing_is_tried_less_and_less_whatever_waits_for_it(warehouse: Warehouse):
    """Prevents a run for each of many messages that wait for the same dead receiver."""
    incidents(warehouse, 10)
    patience = Patience(timedelta(seconds=10), timedelta(hours=1), timedelta(days=1))
    dead = Scripted(Outcome("no answer"))
    for most in (10, 20, 40, 80):
        deliver(warehouse, {"webhook": dead}, patience, fallback="webhook", send=directly)
        with warehouse.connect() as connection:
            wait = stored.next_due(connection) - datetime.now(UTC)
            assert timedelta(seconds=most / 2 - 1) < wait <= timedelta(seconds=most)
            connection.execute("update ops.alert_outbox set due_at = now()")
    assert len(dead.sent) == 4


def test_a_message_that_alone_fails_keeps_the_others_of_its_channel_back_once(warehouse: Warehouse):
    """Prevents that what a receiver chokes on is tried first for ever."""
    incidents(warehouse, 5)

    class Choking(Scripted):
        def send(self, message: ClaimedMessage) -> Outcome:
            self.sent.append(message)
            return Outcome("answered 500") if message.rule == "rule_0" else Outcome()

    receiver = Choking(Outcome())
    assert deliver(warehouse, {"webhook": receiver}, AT_ONCE, fallback="webhook", send=directly) == 0
    time.sleep(0.003)
    assert deliver(warehouse, {"webhook": receiver}, AT_ONCE, fallback="webhook", send=directly) == 4
    assert [message.rule for message in receiver.sent].count("rule_0") == 2


def test_what_is_new_is_tried_at_once_though_its_channel_failed(warehouse: Warehouse):
    incidents(warehouse, 2)
    patience = Patience(timedelta(hours=1), timedelta(hours=1), timedelta(days=1))
    receiver = Scripted(Outcome("no answer"), Outcome())
    assert deliver(warehouse, {"webhook": receiver}, patience, fallback="webhook", send=directly) == 0
    incidents(warehouse, 1, first=7)
    assert deliver(warehouse, {"webhook": receiver}, patience, fallback="webhook", send=directly) == 1
    assert receiver.sent[-1].rule == "rule_7"


def test_what_waits_too_long_for_a_dead_channel_is_given_up_with_what_was_tried(warehouse: Warehouse):
    """Prevents that the tenth message is told elsewhere hours after its time, since the first nine went before."""
    incidents(warehouse, 10)
    with warehouse.connect() as connection:
        connection.execute("update ops.alert_outbox set created_at = now() - interval '2 hours'")
    dead, file = Scripted(Outcome("no answer")), Scripted(Outcome())
    assert deliver(warehouse, {"webhook": dead, "file": file}, AT_ONCE, fallback="file", send=directly) == 10
    assert len(dead.sent) == 1
    assert {row["status"] for row in outbox(warehouse) if row["channel"] == "webhook"} == {"dead"}
    assert len({message.rule for message in file.sent}) == 10


def test_a_round_ends_with_its_time_and_the_next_sends_the_rest(warehouse: Warehouse):
    """Prevents many slow receivers that keep judging waiting together, each within its own time."""
    incidents(warehouse, 5)

    def slowly(transport: Transport, message: ClaimedMessage) -> Outcome:
        time.sleep(0.1)
        return transport.send(message)

    receiver = Scripted(Outcome())
    options = {"fallback": "webhook", "send": slowly}
    assert deliver(warehouse, {"webhook": receiver}, AT_ONCE, limit=timedelta(seconds=0.15), **options) == 2
    assert deliver(warehouse, {"webhook": receiver}, AT_ONCE, **options) == 3
    assert len({message.message_id for message in receiver.sent}) == 5


def test_a_later_message_of_an_incident_does_not_overtake_an_earlier_one(fired: Warehouse):
    """Prevents an all-clear before the alarm."""
    measure(fired, 0.45, start=NOW + 3 * MINUTE)
    assert checked(fired, 3) == ["resolved"]
    webhook = Scripted(*[Outcome("no answer")] * 3, Outcome())
    delivered(fired, webhook, Scripted(Outcome()))
    assert [message.reason for message in webhook.sent] == [*["fired"] * 4, "resolved"]


def test_two_senders_never_send_the_same_message(fired: Warehouse):
    measure(fired, *[0.3] * 3, metric="feed_age")
    slow = Scripted(Outcome())
    original = slow.send

    def send(message: ClaimedMessage) -> Outcome:
        time.sleep(0.05)
        return original(message)

    slow.send = send
    threads = [
        Thread(
            target=deliver,
            args=(fired, {"webhook": slow, "file": slow}, AT_ONCE),
            kwargs={"fallback": "file", "send": directly},
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(message.message_id for message in slow.sent) == dict.fromkeys(
        [row["message_id"] for row in outbox(fired)], 1
    )


def test_a_webhook_is_signed_with_every_secret_and_follows_no_redirect(fired: Warehouse, tmp_path: Path):
    new = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    with http_receiver(webhook_fault([new])) as receiver:
        receiver.answers += [Answer(503), Answer(302, {"location": receiver.url})]
        transport = WebhookTransport(receiver.url, [SECRET, new], may_be_private=True)
        delivered(fired, transport, FileTransport(tmp_path / "alerts.jsonl"))
        assert receiver.asked == 2
        assert receiver.taken == []
        assert [row["last_error"] for row in outbox(fired) if row["status"] == "dead"] == ["answered 302"]
        with fired.connect() as connection:
            connection.execute("update ops.alert_outbox set status = 'waiting' where channel = 'webhook'")
        delivered(fired, transport, FileTransport(tmp_path / "alerts.jsonl"))
        assert receiver.faults == []
        assert [payload["type"] for payload in receiver.taken] == ["alert.fired"]
        assert receiver.taken[0]["data"]["value"] == 0.3
    assert (tmp_path / "alerts.jsonl").read_text().count("\n") == 2


def test_a_private_address_is_not_reached_unless_allowed(fired: Warehouse):
    with http_receiver(webhook_fault([SECRET])) as receiver:
        outcome = WebhookTransport(receiver.url, [SECRET]).send(_message(fired))
        assert outcome.is_final
        assert "private address" in outcome.error
        assert receiver.asked == 0


def _message(warehouse: Warehouse) -> ClaimedMessage:
    with warehouse.connect() as connection:
        return stored.claim(connection, timedelta(seconds=1))[0]


SENDER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from orchestration.alerts import delivery
from orchestration.alerts import delivery
from orchestration.alerts.channels import FileTransport, WebhookTransport
from orchestration.alerts.sender import Sender
from orchestration.warehouse import Warehouse
home, url, receiver, secret = sys.argv[1:]
delivery.LEASE = timedelta(seconds=0.3)
patience = delivery.Patience(timedelta(milliseconds=5), timedelta(milliseconds=20), timedelta(hours=1))
transports = {
    "webhook": WebhookTransport(receiver, [secret], may_be_private=True), "file": FileTransport(Path(home, "a.jsonl")),
}
NOW = datetime.now(UTC)
warehouse = Warehouse.open(Path(home), url)
with Sender() as sender:
    # Its process takes half a second to start, in which nothing would be sent that a kill could interrupt.
    sender.send(FileTransport(Path(home, "trial.jsonl")), delivery.trial_messages("file", author="", now=NOW)[0])
    print("ready", flush=True)
    while True:
        delivery.deliver(warehouse, transports, patience, fallback="file", send=sender.send)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_a_sender_killed_at_any_instant_loses_nothing(warehouse: Warehouse, tmp_path: Path, kills: int):
    """Every incident arrives, by its key once; a kill between sending and recording repeats a message at most."""
    luck = Random(kills)
    rules = [
        RULE.model_copy(update={"name": f"rule_{number}", "channels": ("webhook",)}) for number in range(12 * kills)
    ]
    measure(warehouse, 0.3, 0.3, 0.3)
    store(warehouse, rules, CONTACTS, NOW + 2 * MINUTE)
    expected = {row["dedup_key"] for row in outbox(warehouse)}
    assert len(expected) == 12 * kills
    with http_receiver(webhook_fault([SECRET])) as receiver:
        command = [sys.executable, "-c", SENDER, str(tmp_path), warehouse.url, receiver.url, SECRET]
        for _kill in range(kills):
            with _sender(command) as process:
                time.sleep(luck.random() * 0.04)
                os.kill(process.pid, signal.SIGKILL)
        with _sender(command):
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and {row["status"] for row in outbox(warehouse)} != {"sent"}:
                time.sleep(0.05)
        assert {row["status"] for row in outbox(warehouse)} == {"sent"}
        assert receiver.faults == []
        arrived = Counter(payload["data"]["incident"] for payload in receiver.taken)
        assert set(arrived) == expected
        assert sum(arrived.values()) - len(expected) <= kills


@contextmanager
def _sender(command: list[str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_message_that_cannot_be_sent_keeps_no_other_back(fired: Warehouse):
    """Prevents one malformed address that stops every alert."""
    broken, file = Scripted(Outcome("could not be sent: ValueError")), Scripted(Outcome())
    transports = {"webhook": broken, "file": file}
    assert deliver(fired, transports, Patience.of(POLICY), fallback="file", send=directly) == 1
    (failed,) = [row for row in outbox(fired) if row["channel"] == "webhook"]
    assert (failed["status"], failed["last_error"]) == ("waiting", "could not be sent: ValueError")


def test_who_comes_too_late_changes_nothing(fired: Warehouse):
    """Prevents an alarm that is sent again after its all-clear, because a sender took longer than its lease."""
    with fired.connect(autocommit=True) as connection:
        (late,) = stored.claim(connection, timedelta(0), channel="webhook")
        (again,) = stored.claim(connection, timedelta(0), channel="webhook")
        assert late.message_id == again.message_id
        assert not stored.record_failed(connection, late, "no answer", timedelta(0))
        stored.record_sent(connection, again.message_id)
        assert not stored.record_failed(connection, again, "no answer", None)
    assert outbox(fired)[0]["status"] == "sent"


def test_what_waits_behind_another_is_not_due(fired: Warehouse):
    """Prevents a run at every look that finds nothing to send."""
    measure(fired, 0.45, start=NOW + 3 * MINUTE)
    assert checked(fired, 3) == ["resolved"]
    delivered(fired, Scripted(Outcome("answered 429", retry_after=timedelta(hours=1))), Scripted(Outcome()))
    with fired.connect() as connection:
        assert stored.next_due(connection) > datetime.now(UTC) + timedelta(minutes=59)


def test_a_receiver_that_talks_on_is_not_listened_to(fired: Warehouse):
    class Endless(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "1000000000")
            self.end_headers()
            time.sleep(3)

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    transport = WebhookTransport(f"http://127.0.0.1:{server.server_port}/", [SECRET], may_be_private=True)
    try:
        assert transport.send(_message(fired)) == Outcome()
    finally:
        server.shutdown()
        server.server_close()
