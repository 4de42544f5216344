"""What people are told past the outbox: by true receivers, from a watch that may be started anew at any time."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest

from orchestration.alerts.alerting import Addresses
from orchestration.alerts.monitor import monitor
from orchestration.alerts.outage import Watch
from orchestration.alerts.rounds import go_round, take_samples, waiting
from orchestration.warehouse import Warehouse, WarehouseError
from orchestration.warehouse.failures import RunFailure, record_failure
from orchestration.warehouse.warehouse import connect
from tests.receivers import Answer, Receiver, http_receiver, webhook_fault
from tests.warehouse.test_alert_rounds import POLICY, known, lines

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
EAGER = POLICY.model_copy(update={"alert_retry_first_seconds": 0})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver(webhook_fault([SECRET])) as found:
        yield found


def addresses(warehouse: Warehouse, receiver: Receiver | None = None) -> Addresses:
    if receiver is None:
        return Addresses(warehouse.home, warehouse.home / "contacts.yml")
    return Addresses(
        warehouse.home,
        warehouse.home / "contacts.yml",
        webhook_url=receiver.url,
        webhook_secrets=(SECRET,),
        webhook_may_be_private=True,
    )


def watch_of(warehouse: Warehouse, receiver: Receiver | None = None) -> Watch:
    return Watch(warehouse, EAGER, addresses(warehouse, receiver), lambda _line: None)


def titles(receiver: Receiver) -> list[str]:
    return [payload["data"]["title"] for payload in receiver.taken]


GONE = "critical: The engine does not answer its readers, or nothing measures it"
BACK = "over: the warehouse answers again"
UNJUDGED = "critical: Alerts are not being judged, or not being sent"
UNREADABLE = "critical: Rules or contacts cannot be read: no alert is judged"


def test_a_channel_that_fails_is_tried_until_it_hears_though_others_have_heard(
    warehouse: Warehouse, receiver: Receiver
):
    """Prevents a page that is lost, or never closed, because a file took its own message."""
    watch = watch_of(warehouse, receiver)
    watch(NOW, "OperationalError")
    watch(NOW + 4 * MINUTE, "OperationalError")
    assert receiver.asked == 0
    receiver.answers += [Answer(503), Answer(503)]
    for minute in (5, 6, 7, 8):
        watch(NOW + minute * MINUTE, "OperationalError")
    assert titles(receiver) == [GONE]
    receiver.answers += [Answer(503)]
    for minute in (9, 10, 11):
        watch(NOW + minute * MINUTE, None)
    assert titles(receiver) == [GONE, BACK]
    assert receiver.asked == 5
    assert [line["title"] for line in lines(warehouse)] == [GONE, BACK]
    assert len({payload["data"]["incident"] for payload in receiver.taken}) == 1


def test_a_watch_that_is_started_anew_tells_the_end_of_what_the_last_one_told(warehouse: Warehouse, receiver: Receiver):
    """Prevents a page that stays open because the engine was restarted to mend what it paged for."""
    first = watch_of(warehouse, receiver)
    for minute in (0, 5):
        first(NOW + minute * MINUTE, "OperationalError")
    watch_of(warehouse, receiver)(NOW + 7 * MINUTE, "OperationalError")
    assert titles(receiver) == [GONE]
    watch_of(warehouse, receiver)(NOW + 8 * MINUTE, None)
    assert titles(receiver) == [GONE, BACK]
    assert len({payload["data"]["incident"] for payload in receiver.taken}) == 1


def test_a_file_that_was_spoilt_keeps_nobody_from_being_told(warehouse: Warehouse):
    (warehouse.home / "alerts").mkdir(parents=True)
    (warehouse.home / "alerts" / "outages.json").write_text("[{")
    watch = watch_of(warehouse)
    for minute in (0, 5):
        watch(NOW + minute * MINUTE, "OperationalError")
    assert [line["title"] for line in lines(warehouse)] == [GONE]


def test_two_installations_of_one_host_do_not_end_what_the_other_tells(warehouse: Warehouse, tmp_path, receiver):
    other = Warehouse(tmp_path / "another", warehouse.url, warehouse.dagster_url)
    other.home.mkdir()
    for one in (warehouse, other):
        watch = watch_of(one, receiver)
        watch(NOW, "OperationalError")
        watch(NOW + 5 * MINUTE, "OperationalError")
    assert len({payload["data"]["incident"] for payload in receiver.taken}) == 2


def test_third_parties_learn_neither_host_nor_user(warehouse: Warehouse):
    """Prevents the words of the driver, which name both, from going to a chat of somebody else's."""
    watch, stop = watch_of(warehouse), Event()

    class Gone:
        def connect(self, *_arguments: object, **_options: object):
            return connect("postgresql://annabel@127.0.0.1:1/secret_name")

    def as_if_later(now: datetime, fault: str | None) -> None:
        for minute in (0, 5):
            watch(now + minute * MINUTE, fault)
        stop.set()

    log: list[str] = []
    monitor(Gone(), POLICY, stop, log.append, watch=as_if_later, interval=timedelta(milliseconds=20))
    text = json.dumps(lines(warehouse))
    assert "OperationalError" in text
    assert not [word for word in ("127.0.0.1", "annabel", "secret_name") if word in text]
    assert "secret_name" in log[0]


def fail(warehouse: Warehouse, run_id: str = "a") -> None:
    with warehouse.connect() as connection:
        record_failure(connection, RunFailure(run_id, "refresh", datetime.now(UTC), "out of memory"))
    take_samples(warehouse, POLICY, datetime.now(UTC))


def test_news_that_nobody_stores_is_told(warehouse: Warehouse):
    """Prevents a night in which alert_sensor is off, or its runs hang, and nobody knows."""
    fail(warehouse)
    watch, begun = watch_of(warehouse), datetime.now(UTC)
    for minute in range(10):
        watch(begun + minute * MINUTE, None)
    assert lines(warehouse) == []
    watch(begun + 10 * MINUTE, None)
    (line,) = lines(warehouse)
    assert line["title"] == UNJUDGED
    assert "not stored: run_failed" in line["text"]
    go_round(warehouse, known(warehouse), POLICY, measures=False)
    watch(begun + 11 * MINUTE, None)
    assert [line["title"] for line in lines(warehouse)][-1] == "over: alerts are judged and sent again"


def test_what_was_stored_just_before_does_not_put_the_telling_off_twice(warehouse: Warehouse):
    """Prevents twenty minutes of silence where ten are promised."""
    watch, begun = watch_of(warehouse), datetime.now(UTC)
    fail(warehouse)
    go_round(warehouse, known(warehouse), POLICY, measures=False)
    with warehouse.connect() as connection:
        connection.execute("update ops.alert_incidents set told_at = now() - interval '9 days'")
    for minute in range(1, 12):
        watch(begun + minute * MINUTE, None)
    assert "not stored: run_failed: reminder" in lines(warehouse)[-1]["text"]


def test_news_at_every_look_is_no_fault_of_those_who_store_each(warehouse: Warehouse):
    fail(warehouse)
    go_round(warehouse, known(warehouse), POLICY, measures=False)
    watch, begun = watch_of(warehouse), datetime.now(UTC)
    for minute in range(0, 30, 3):
        with warehouse.connect() as connection:
            # Told, and as often due again.
            connection.execute("update ops.alert_incidents set told_at = now() - interval '9 days'")
            at = begun + (minute - 1) * MINUTE
            connection.execute("update ops.alert_states set updated_at = %s", [at])
        assert waiting(warehouse, known(warehouse), begun + minute * MINUTE).news
        watch(begun + minute * MINUTE, None)
    assert UNJUDGED not in [line["title"] for line in lines(warehouse)]


def test_messages_that_nobody_sends_are_told_but_not_those_that_waited_for_the_engine(warehouse: Warehouse):
    fail(warehouse)
    go_round(warehouse, known(warehouse), POLICY, measures=False)
    with warehouse.connect() as connection:
        connection.execute("update ops.alert_outbox set status = 'waiting', due_at = now() - interval '1 day'")
    watch, begun = watch_of(warehouse), datetime.now(UTC)
    for minute in range(10):
        watch(begun + minute * MINUTE, None)
    assert UNJUDGED not in [line["title"] for line in lines(warehouse)]
    watch(begun + 10 * MINUTE, None)
    assert "messages are not sent" in lines(warehouse)[-1]["text"]


def test_what_waited_for_an_outage_to_end_is_no_fault_of_those_who_judge(warehouse: Warehouse):
    """Prevents a second page at the very moment at which all is well again."""
    fail(warehouse)
    go_round(warehouse, known(warehouse), POLICY, measures=False)
    watch, begun = watch_of(warehouse), datetime.now(UTC)
    watch(begun, None)
    with warehouse.connect() as connection:
        connection.execute("update ops.alert_outbox set status = 'waiting', due_at = now()")
    for minute in range(1, 21):
        watch(begun + minute * MINUTE, "OperationalError")
    for minute in range(21, 30):
        watch(begun + minute * MINUTE, None)
    told = [line["title"] for line in lines(warehouse)]
    assert (GONE in told, BACK in told, UNJUDGED in told) == (True, True, False)
    # Nor is what waited while the host slept.
    asleep = begun + timedelta(hours=9)
    watch(asleep, None)
    assert UNJUDGED not in [line["title"] for line in lines(warehouse)]
    for minute in range(1, 11):
        watch(asleep + minute * MINUTE, None)
    assert UNJUDGED in [line["title"] for line in lines(warehouse)]


def test_rules_or_contacts_that_cannot_be_read_any_more_are_told_by_those_that_could(
    warehouse: Warehouse, receiver: Receiver
):
    """Prevents a slip in a file, saved while the engine runs, after which no rule is judged and nobody hears of it."""
    watch = watch_of(warehouse, receiver)
    watch(NOW, None)
    contacts = warehouse.home / "contacts.yml"
    contacts.write_text("channels: {slack: nonsense-with-a-secret}")
    for minute in (1, 10, 11):
        watch(NOW + minute * MINUTE, None)
    assert titles(receiver) == [UNREADABLE]
    assert "nonsense" not in json.dumps(receiver.taken)
    contacts.write_text("channels: {}")
    watch(NOW + 12 * MINUTE, None)
    assert titles(receiver) == [UNREADABLE, "over: rules and contacts can be read again"]


def test_what_cannot_be_judged_for_an_error_is_told(warehouse: Warehouse):
    watch = watch_of(warehouse)
    with warehouse.connect() as connection:
        connection.execute("alter table ops.alert_states rename to elsewhere")
    for minute in (0, 10):
        watch(NOW + minute * MINUTE, None)
    assert "cannot be judged: UndefinedTable" in lines(warehouse)[0]["text"]


def test_a_watch_that_takes_long_or_fails_costs_no_sample(warehouse: Warehouse):
    """Prevents a receiver without an answer that makes the engine look as if it were down."""
    stop, log, asked = Event(), [], []

    def hangs(now: datetime, _fault: str | None) -> None:
        asked.append(now)
        if len(asked) == 1:
            raise ValueError("of its own")
        stop.wait(30)

    watching = Thread(
        target=monitor,
        args=(warehouse, POLICY, stop, log.append),
        kwargs={"watch": hangs, "interval": timedelta(milliseconds=50)},
    )
    watching.start()
    try:
        deadline, count = time.monotonic() + 30, 0
        while count < 5 and time.monotonic() < deadline:
            with warehouse.connect() as connection:
                taken = "select count(*) from ops.metric_samples where metric = 'engine_up'"
                (count,) = connection.execute(taken).fetchone()
            time.sleep(0.05)
        watched = len(asked)
    finally:
        stop.set()
        watching.join()
    assert count >= 5
    assert watched == 2
    assert "the watch over alerts failed: ValueError: of its own" in log[0]


def test_an_outage_is_followed_from_the_first_minute_to_its_end(warehouse: Warehouse):
    stop, answers = Event(), []
    watch = Watch(warehouse, EAGER, addresses(warehouse), lambda _line: None)
    begun = datetime.now(UTC)

    class Moody:
        def connect(self, *arguments: object, **options: object):
            answers.append(True)
            if len(answers) < 4:
                raise WarehouseError("connection refused")
            return warehouse.connect(*arguments, **options)

    def hurried(now: datetime, fault: str | None) -> None:
        """A minute for each hundredth of a second."""
        watch(begun + (now - begun) * 6000, fault)
        if BACK in [line["title"] for line in lines(warehouse)]:
            stop.set()

    monitor(Moody(), POLICY, stop, lambda _line: None, watch=hurried, interval=timedelta(milliseconds=100))
    assert [line["title"] for line in lines(warehouse)][:2] == [GONE, BACK]
