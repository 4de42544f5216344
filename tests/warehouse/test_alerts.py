"""Alerts from sample to outbox, in a real warehouse: told once, told to be over, done once."""

from datetime import UTC, datetime, timedelta
from threading import Thread

from orchestration.alerts.check import look, store
from orchestration.alerts.evaluation import State
from orchestration.alerts.routing import Contact
from orchestration.alerts.rules import Action
from orchestration.warehouse import Warehouse
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.switches import AI_CONTENT, is_on, switches, turn
from tests.incidents import CONTACTS, FEED, MINUTE, NOW, RULE, checked, measure, outbox


def test_a_change_is_told_once_on_every_channel_and_so_is_its_end(warehouse: Warehouse):
    """Prevents the same page at every look."""
    measure(warehouse, 0.5, 0.3, 0.3, 0.3, 0.3, 0.45)
    assert [checked(warehouse, minute) for minute in (0, 1, 2)] == [[], [], []]
    assert checked(warehouse, 3) == ["fired"]
    assert checked(warehouse, 3) == []
    assert checked(warehouse, 4) == []
    assert checked(warehouse, 5) == ["resolved"]
    assert checked(warehouse, 5) == []
    assert [(row["reason"], row["channel"]) for row in outbox(warehouse)] == [
        ("fired", "webhook"), ("fired", "file"), ("resolved", "webhook"), ("resolved", "file")
    ]  # fmt: skip
    assert len({row["dedup_key"] for row in outbox(warehouse)}) == 1


def test_looking_stores_nothing(warehouse: Warehouse):
    measure(warehouse, 0.3, 0.3, 0.3)
    with warehouse.connect() as connection:
        found = look(connection, [RULE], CONTACTS, NOW + 2 * MINUTE)
    assert found.changed
    assert found.state("rate_low") is State.FIRING
    assert outbox(warehouse) == []
    assert checked(warehouse, 2) == ["fired"]


def test_data_that_stop_are_told_and_the_incident_stays_open(warehouse: Warehouse):
    measure(warehouse, 0.3, 0.3, 0.3)
    assert checked(warehouse, 2) == ["fired"]
    assert checked(warehouse, 13) == ["data_lost"]
    measure(warehouse, 0.3, start=NOW + 20 * MINUTE)
    assert checked(warehouse, 20) == ["data_back"]
    measure(warehouse, 0.45, start=NOW + 21 * MINUTE)
    assert checked(warehouse, 21) == ["resolved"]


def test_a_silence_keeps_quiet_and_what_outlasts_it_is_told(warehouse: Warehouse):
    measure(warehouse, *[0.3] * 20)
    with warehouse.connect() as connection:
        number = stored.silence(connection, "rate_low", until=NOW + timedelta(days=9999), author="ann", reason="moving")
        connection.execute(
            "update ops.alert_silences set starts_at = %s, ends_at = %s where silence_id = %s",
            [NOW, NOW + 10 * MINUTE, number],
        )
    assert checked(warehouse, 5) == []
    with warehouse.connect() as connection:
        assert look(connection, [RULE], CONTACTS, NOW + 5 * MINUTE).state("rate_low") is State.SILENCED
    assert checked(warehouse, 10) == ["fired"]


def test_the_end_of_what_people_were_told_of_is_told_under_a_silence_too(warehouse: Warehouse):
    """Prevents a page that stays open at its receiver because somebody silenced the rule while mending."""
    measure(warehouse, 0.5, 0.3, 0.3, 0.3, 0.3, 0.45, *[0.3] * 5)
    assert checked(warehouse, 3) == ["fired"]
    with warehouse.connect() as connection:
        number = stored.silence(connection, "rate_low", until=NOW + timedelta(days=9999), author="ann", reason="moving")
        connection.execute(
            "update ops.alert_silences set starts_at = %s where silence_id = %s", [NOW + 4 * MINUTE, number]
        )
    assert checked(warehouse, 5) == ["resolved"]
    # What begins under the silence waits for its end, as ever.
    assert checked(warehouse, 10) == []


def test_a_late_source_keeps_quiet_what_hangs_on_it(warehouse: Warehouse):
    dependent = RULE.model_copy(update={"inhibited_by": ("feed_late",)})
    measure(warehouse, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)
    measure(warehouse, 90, 90, 90, 90, 10, 10, metric="feed_age")
    assert checked(warehouse, 2, dependent, FEED) == ["fired"]
    assert {row["fields"]["rule"] for row in outbox(warehouse)} == {"feed_late"}
    assert sorted(checked(warehouse, 4, dependent, FEED)) == ["fired", "resolved"]


def test_a_rule_that_is_no_more_tells_its_end_and_leaves_nothing_behind(warehouse: Warehouse):
    """Prevents an incident at the receiver that nobody will ever resolve."""
    measure(warehouse, 0.3, 0.3, 0.3)
    assert checked(warehouse, 2) == ["fired"]
    with warehouse.connect() as connection:
        found = look(connection, [FEED], CONTACTS, NOW + 3 * MINUTE)
        assert found.changed == ["rate_low"]
        resting = look(connection, [FEED], CONTACTS, NOW + 3 * MINUTE, resting=frozenset({"rate_low"}))
        assert not [*resting.changed, *resting.due]
    assert checked(warehouse, 3, FEED) == ["resolved"]
    assert checked(warehouse, 4, FEED) == []
    assert [(row["reason"], row["channel"], row["is_over"]) for row in outbox(warehouse)[2:]] == [
        ("resolved", "file", True), ("resolved", "webhook", True)
    ]  # fmt: skip
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from ops.alert_incidents where closed_at is null").fetchone()[0] == 0
    # Put back, it begins anew.
    assert checked(warehouse, 5) == ["fired"]


def test_what_came_and_went_while_nobody_looked_is_told(warehouse: Warehouse):
    measure(warehouse, 0.5, 0.3, 0.3, 0.3, 0.45, 0.45)
    assert checked(warehouse, 5) == ["fired", "resolved"]
    assert [(row["reason"], row["is_over"]) for row in outbox(warehouse) if row["channel"] == "file"] == [
        ("fired", False), ("resolved", True)
    ]  # fmt: skip
    assert checked(warehouse, 6) == []


def test_what_came_and_went_under_a_silence_is_kept_but_not_told(warehouse: Warehouse):
    measure(warehouse, 0.5, 0.3, 0.3, 0.3, 0.45, 0.45)
    with warehouse.connect() as connection:
        number = stored.silence(connection, None, until=NOW + timedelta(days=9999), author="ann", reason="moving")
        connection.execute("update ops.alert_silences set starts_at = %s where silence_id = %s", [NOW, number])
    assert checked(warehouse, 5) == []
    with warehouse.connect() as connection:
        assert stored.end_silence(connection, number, "ben")
        assert not stored.end_silence(connection, number, "ben")
        assert stored.silences(connection, datetime.now(UTC) + MINUTE) == []
        found = connection.execute("select count(*) from ops.alert_incidents where closed_at is not null").fetchone()
    assert found == (1,)
    assert checked(warehouse, 60 * 24 * 9999) == ["data_lost"]


def actions(warehouse: Warehouse) -> list[tuple[str, str | None]]:
    with warehouse.connect() as connection:
        return connection.execute("select action, outcome from ops.alert_actions order by asked_at, action").fetchall()


def test_an_action_is_done_once_for_an_incident_and_kept(warehouse: Warehouse):
    rule = RULE.model_copy(update={"action": Action.DISABLE_AI_FALLBACK_MANUAL})
    measure(warehouse, 0.3, 0.3, 0.3)
    for _look in range(3):
        checked(warehouse, 2, rule)
    assert actions(warehouse) == [("disable_ai_fallback_manual", "ai_content switched off")]
    with warehouse.connect() as connection:
        assert not is_on(connection, AI_CONTENT)
        (last,) = switches(connection).values()
        assert (last.author, last.reason) == ("alert rate_low", "incident 1: Fewer convert")
    # It stays off until a person thinks otherwise; then the next incident is another one.
    measure(warehouse, 0.45, start=NOW + 3 * MINUTE)
    checked(warehouse, 3, rule)
    with warehouse.connect() as connection:
        assert not is_on(connection, AI_CONTENT)
        assert turn(connection, AI_CONTENT, on=True, author="ann", reason="key renewed")
        assert not turn(connection, AI_CONTENT, on=True, author="ann", reason="key renewed")
    measure(warehouse, 0.3, 0.3, 0.3, start=NOW + 4 * MINUTE)
    assert checked(warehouse, 6, rule) == ["fired"]
    assert len(actions(warehouse)) == 2
    with warehouse.connect() as connection:
        assert not is_on(connection, AI_CONTENT)


def test_nothing_is_done_of_which_nobody_is_told(warehouse: Warehouse):
    """Prevents AI content from being switched off because a feed is late, or during maintenance."""
    rule = RULE.model_copy(update={"action": Action.DISABLE_AI_FALLBACK_MANUAL, "inhibited_by": ("feed_late",)})
    measure(warehouse, 0.3, 0.3, 0.3)
    measure(warehouse, 90, 90, 90, metric="feed_age")
    assert checked(warehouse, 2, rule, FEED) == ["fired"]
    assert actions(warehouse) == []


def test_to_tell_a_team_is_done_with_the_message_and_a_recalibration_waits_for_its_job(warehouse: Warehouse):
    paging = RULE.model_copy(update={"action": Action.PAGE_ON_CALL})
    drift = RULE.model_copy(update={"name": "drift", "action": Action.TRIGGER_RECALIBRATION})
    measure(warehouse, 0.3, 0.3, 0.3)
    store(warehouse, [paging, drift], CONTACTS | {"On-Call": Contact(channels=("pager",))}, NOW + 2 * MINUTE)
    assert actions(warehouse) == [
        ("page_on_call", "On-Call: message stored for webhook, file, pager"), ("trigger_recalibration", None)
    ]  # fmt: skip
    with warehouse.connect() as connection:
        (incident,) = stored.asked_actions(connection, "trigger_recalibration")
        stored.action_done(connection, incident, "trigger_recalibration", "calibration 2 promoted")
        stored.action_done(connection, incident, "trigger_recalibration", "something else")
        assert stored.asked_actions(connection, "trigger_recalibration") == []
    assert actions(warehouse)[1] == ("trigger_recalibration", "calibration 2 promoted")


def test_a_team_that_nobody_can_reach_is_not_said_to_have_been_told(warehouse: Warehouse):
    """Prevents a record that somebody was paged, where no address of anybody is known."""
    measure(warehouse, 0.3, 0.3, 0.3)
    checked(warehouse, 2, RULE.model_copy(update={"action": Action.PAGE_ON_CALL}))
    (told,) = actions(warehouse)
    assert told == ("page_on_call", "On-Call: message stored for webhook, file; On-Call has no channel of its own")


def test_many_who_check_at_once_tell_once(warehouse: Warehouse):
    """Prevents a page from each of two processes that saw the same change."""
    measure(warehouse, 0.3, 0.3, 0.3)
    threads = [Thread(target=checked, args=(warehouse, 2)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["reason"] for row in outbox(warehouse)] == ["fired", "fired"]


def test_the_end_reaches_whoever_was_told_of_the_beginning(warehouse: Warehouse):
    """Prevents a page of the next contact that never closes."""
    rule = RULE.model_copy(update={"channels": ("file",), "escalate_after": 5 * MINUTE})
    contacts = {"Marketing": Contact(escalation=("phone",))}
    measure(warehouse, *[0.3] * 10, 0.45)
    for minute in (2, 8, 10):
        store(warehouse, [rule], contacts, NOW + minute * MINUTE)
    assert [(row["reason"], row["channel"]) for row in outbox(warehouse)] == [
        ("fired", "file"), ("escalation", "phone"), ("resolved", "file"), ("resolved", "phone")
    ]  # fmt: skip
