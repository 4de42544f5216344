"""What people decide of content, and where it goes from there."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from orchestration.content.asking import ask
from orchestration.content.draining import drain
from orchestration.content.exporting import Exported, SendingSystem, as_json, export
from orchestration.content.languages import language_of
from orchestration.content.working import waits, work
from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import content_drafts as stored
from orchestration.warehouse.files import write_whole
from orchestration.warehouse.locks import CONTENT_EXPORT, alone
from orchestration.webhooks import Outcome
from tests.content_desk import NOW, campaigns, desk, drafts
from tests.openai_server import Served, openai_server
from tests.receivers import Answer, http_receiver, webhook_fault

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def served() -> Iterator[Served]:
    with openai_server() as one:
        yield one


@pytest.fixture
def reviewed(warehouse: Warehouse, served: Served) -> Warehouse:
    """A warehouse with two drafts, of which the first is approved."""
    campaigns(warehouse, 1)
    ask(warehouse, desk(served), NOW)
    drain(warehouse, desk(served))
    with warehouse.connect() as connection:
        assert stored.review(connection, 1, status="approved", author="ann", reason=None)
        assert stored.review(connection, 2, status="rejected", author="ann", reason="too dry")
    return warehouse


def test_a_draft_is_judged_once(reviewed: Warehouse):
    with reviewed.connect() as connection:
        assert not stored.review(connection, 2, status="approved", author="bob", reason=None)
        assert not stored.review(connection, 1, status="approved", author="bob", reason=None)
    assert [(draft["status"], draft["reviewed_by"]) for draft in drafts(reviewed)] == [
        ("approved", "ann"),
        ("rejected", "ann"),
    ]


def test_approved_content_is_filed_and_posted_signed_and_only_that(reviewed: Warehouse, tmp_path: Path):
    with http_receiver(webhook_fault([SECRET])) as receiver:
        receiver.answers.append(Answer(503))
        to = SendingSystem(receiver.url, (SECRET,), may_be_private=True)
        assert export(reviewed, tmp_path / "out", to) == Exported()
        assert drafts(reviewed)[0]["status"] == "approved"
        # Not each minute: the next attempt has its time.
        assert export(reviewed, tmp_path / "out", to) == Exported()
        assert receiver.asked == 1
        with reviewed.connect() as connection:
            connection.execute("update ops.content_drafts set export_due_at = clock_timestamp()")
        assert export(reviewed, tmp_path / "out", to) == Exported(published=1)
        assert export(reviewed, tmp_path / "out", to) == Exported()
        assert receiver.faults == []
        (taken,) = receiver.taken
    (file,) = (tmp_path / "out").iterdir()
    assert json.loads(file.read_text()) == taken
    variant_id = drafts(reviewed)[0]["variant_id"]
    assert file.name == f"{variant_id}.json"
    assert taken["data"]["variant_id"] == variant_id
    assert taken["data"]["subject_id"] == "c1"
    assert "{{unsubscribe_url}}" in taken["data"]["body"]
    assert [draft["status"] for draft in drafts(reviewed)] == ["published", "rejected"]


def test_a_sending_system_within_the_own_network_is_refused_unless_allowed(reviewed: Warehouse, tmp_path: Path):
    with http_receiver(webhook_fault([SECRET])) as receiver:
        assert export(reviewed, tmp_path, SendingSystem(receiver.url, (SECRET,))) == Exported()
        assert receiver.asked == 0


def judged(warehouse: Warehouse, verdict: str) -> None:
    """What the mart says of the first draft."""
    with warehouse.connect() as connection:
        connection.execute("drop table if exists marts.content_performance")
        connection.execute(
            "create table marts.content_performance as select 'c1' as campaign_id, %s as variant_id, %s as verdict",
            [drafts(warehouse)[0]["variant_id"], verdict],
        )


def test_a_variant_that_loses_is_retired_and_the_others_are_not(reviewed: Warehouse, served: Served, tmp_path: Path):
    export(reviewed, tmp_path, None)
    for verdict, status in (("undecided", "published"), ("winner", "published"), ("loser", "superseded")):
        judged(reviewed, verdict)
        work(reviewed, desk(served), NOW, folder=tmp_path, to=None)
        assert drafts(reviewed)[0]["status"] == status
    assert drafts(reviewed)[0]["reason"] == "converts less than the control"


def test_whoever_sends_is_told_of_a_variant_that_is_retired(reviewed: Warehouse, served: Served, tmp_path: Path):
    """Prevents a loser that goes on being sent, since only the engine knows."""
    out = tmp_path / "out"
    with http_receiver(webhook_fault([SECRET])) as receiver:
        to = SendingSystem(receiver.url, (SECRET,), may_be_private=True)
        assert export(reviewed, out, to) == Exported(published=1)
        assert len(list(out.iterdir())) == 1
        judged(reviewed, "loser")
        receiver.answers.append(Answer(503))
        assert work(reviewed, desk(served), NOW, folder=out, to=to).exported == Exported()
        assert list(out.iterdir()) == []
        # It has its time, as any message.
        assert export(reviewed, out, to) == Exported()
        assert receiver.asked == 2
        with reviewed.connect() as connection:
            connection.execute("update ops.content_drafts set export_due_at = clock_timestamp()")
        assert waits(reviewed, desk(served), NOW) == "1 retired drafts"
        # Whatever folder is named now: the file goes from where it was put.
        assert export(reviewed, tmp_path / "another", to) == Exported(withdrawn=1)
        assert export(reviewed, out, to) == Exported()
        assert waits(reviewed, desk(served), NOW) == ""
        assert receiver.faults == []
        approved, retired = receiver.taken
    assert (approved["type"], retired["type"]) == ("content.approved", "content.retired")
    assert retired["data"] == {
        "variant_id": approved["data"]["variant_id"],
        "kind": "underperforming_campaign",
        "subject_id": "c1",
        "reason": "converts less than the control",
    }


def test_what_the_sending_system_does_not_know_need_not_be_taken_back_there(reviewed: Warehouse, tmp_path: Path):
    with http_receiver(webhook_fault([SECRET])) as receiver:
        to = SendingSystem(receiver.url, (SECRET,), may_be_private=True)
        receiver.answers += [Answer(404), Answer(404)]
        # Refused for good at first: whoever is to send it must take it.
        assert export(reviewed, tmp_path / "out", to) == Exported()
        with reviewed.connect() as connection:
            assert stored.retire(connection, 1, author="bob", reason="second thoughts")
        assert export(reviewed, tmp_path / "out", to) == Exported(withdrawn=1)


def test_one_draft_that_cannot_be_exported_keeps_no_other_back(warehouse: Warehouse, served: Served, tmp_path: Path):
    """Prevents a brief of an earlier version from stopping all that is approved or retired after it."""
    campaigns(warehouse, 2)
    ask(warehouse, desk(served), NOW)
    drain(warehouse, desk(served))
    first, _second, third, fourth = (draft["draft_id"] for draft in drafts(warehouse))
    with warehouse.connect() as connection:
        for draft_id in (first, third):
            assert stored.review(connection, draft_id, status="approved", author="ann", reason=None)
        connection.execute(
            "update ops.content_briefs set brief = brief - 'goal' where brief_id = %s",
            [drafts(warehouse)[0]["brief_id"]],
        )
    told: list[str] = []
    assert export(warehouse, tmp_path / "out", None, tell=told.append) == Exported(published=1)
    assert "cannot be exported: ValidationError" in told[0]
    # A file where the folder should be.
    (tmp_path / "blocked").write_text("")
    with warehouse.connect() as connection:
        assert stored.review(connection, fourth, status="approved", author="ann", reason=None)
    assert export(warehouse, tmp_path / "blocked", None, tell=told.append) == Exported()
    assert told[-1].startswith(f"draft {fourth}: cannot be exported: ")
    assert export(warehouse, tmp_path / "out", None) == Exported()


def test_what_is_retired_while_a_post_fails_is_taken_back_at_once(
    reviewed: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def retire_then_fail(*_arguments: Any, **_options: Any) -> Outcome:
        with reviewed.connect() as connection:
            stored.retire(connection, 1, author="bob", reason="a wrong price")
        monkeypatch.setattr("orchestration.content.exporting.post_signed", lambda *_told, **_options: Outcome())
        return Outcome("answered 400", is_final=True)

    monkeypatch.setattr("orchestration.content.exporting.post_signed", retire_then_fail)
    to = SendingSystem("http://127.0.0.1:9", (SECRET,), may_be_private=True)
    assert export(reviewed, tmp_path / "out", to) == Exported(withdrawn=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_never_went_out_is_not_taken_back(reviewed: Warehouse, tmp_path: Path):
    with reviewed.connect() as connection:
        assert stored.retire(connection, 1, author="bob", reason="second thoughts")
        assert not stored.retire(connection, 2, author="bob", reason="was rejected")
    assert export(reviewed, tmp_path / "out", None) == Exported()
    assert not (tmp_path / "out").exists()


class ChangesMind:
    """A person who rejects or retires a draft in the middle of an export."""

    def __init__(self, warehouse: Warehouse, decide: Callable[[Connection], bool]) -> None:
        self._warehouse, self._decide, self.was_done = warehouse, decide, False

    def __call__(self, draft: Any) -> str:
        if not self.was_done:
            with self._warehouse.connect() as connection:
                self.was_done = self._decide(connection)
        return as_json(draft)


def test_what_is_rejected_while_an_export_runs_is_not_sent(
    reviewed: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Prevents a draft that goes out although the person was told that it was rejected in time."""
    person = ChangesMind(
        reviewed, lambda session: stored.review(session, 1, status="rejected", author="bob", reason="second thoughts")
    )
    monkeypatch.setattr("orchestration.content.exporting.as_json", person)
    with http_receiver(webhook_fault([SECRET])) as receiver:
        to = SendingSystem(receiver.url, (SECRET,), may_be_private=True)
        assert export(reviewed, tmp_path / "out", to) == Exported()
        assert receiver.asked == 0
    assert person.was_done
    assert not (tmp_path / "out").exists()


def test_what_is_retired_while_it_goes_out_is_taken_back(
    reviewed: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def retire_then_write(path: Path, text: str) -> None:
        with reviewed.connect() as connection:
            # Too late to reject: it is on its way.
            assert not stored.review(connection, 1, status="rejected", author="bob", reason="second thoughts")
            assert stored.retire(connection, 1, author="bob", reason="second thoughts")
        write_whole(path, text)

    monkeypatch.setattr("orchestration.content.exporting.write_whole", retire_then_write)
    assert export(reviewed, tmp_path / "out", None) == Exported(withdrawn=1)
    assert list((tmp_path / "out").iterdir()) == []
    assert (drafts(reviewed)[0]["reviewed_by"], drafts(reviewed)[0]["retired_by"]) == ("ann", "bob")


def test_one_process_exports_at_a_time(reviewed: Warehouse, tmp_path: Path):
    """Prevents a retirement that overtakes what it retires."""
    told: list[str] = []
    with reviewed.connect(autocommit=True) as other, alone(other, CONTENT_EXPORT) as is_ours:
        assert is_ours
        assert export(reviewed, tmp_path / "out", None, tell=told.append) == Exported()
    assert told == ["another process exports"]
    assert export(reviewed, tmp_path / "out", None) == Exported(published=1)


def test_there_is_work_only_where_something_changed(warehouse: Warehouse, served: Served, tmp_path: Path):
    """Prevents a run each minute that finds nothing to do."""
    made = desk(served)
    assert waits(warehouse, made, NOW) == ""
    campaigns(warehouse, 2)
    assert waits(warehouse, made, NOW) == "2 opportunities"
    ask(warehouse, made, NOW)
    assert waits(warehouse, made, NOW) == "2 jobs"
    found = work(warehouse, made, NOW, folder=tmp_path, to=None)
    assert found.as_dict() == {
        "briefs": 0,
        "done": 2,
        "rejected": 0,
        "manual": 0,
        "later": 0,
        "retired": 0,
        "published": 0,
        "withdrawn": 0,
    }
    assert waits(warehouse, made, NOW) == ""
    with warehouse.connect() as connection:
        stored.review(connection, 1, status="approved", author="ann", reason=None)
    assert waits(warehouse, made, NOW) == "1 approved drafts"


def test_an_opportunity_that_makes_no_brief_is_told_and_keeps_no_other_back(warehouse: Warehouse, served: Served):
    campaigns(warehouse, 2)
    with warehouse.connect() as connection:
        connection.execute("update marts.content_opportunities set rate = null where subject_id = 'c1'")
    told: list[str] = []
    assert ask(warehouse, desk(served), NOW, tell=told.append) == 1
    assert told[0].startswith("no brief: c1: rate: missing")


def test_an_approved_draft_can_be_withdrawn_until_it_is_out(reviewed: Warehouse, tmp_path: Path):
    with reviewed.connect() as connection:
        assert stored.review(connection, 1, status="rejected", author="bob", reason="second thoughts")
    assert export(reviewed, tmp_path, None) == Exported()


def test_what_names_a_day_that_has_passed_is_not_sent(reviewed: Warehouse, served: Served, tmp_path: Path):
    fact = {"name": "deadline", "value": language_of("en").day(date(2026, 4, 12)), "unit": "date"}
    with reviewed.connect() as connection:
        connection.execute(
            "update ops.content_briefs set brief = jsonb_set(brief, '{facts}', %s::jsonb)", [json.dumps([fact])]
        )
    assert export(reviewed, tmp_path, None) == Exported()
    assert (drafts(reviewed)[0]["status"], drafts(reviewed)[0]["reason"]) == ("superseded", "its deadline has passed")
    # Nor is a model asked, and paid, for what nobody can send.
    with reviewed.connect() as connection:
        connection.execute("update ops.content_jobs set status = 'waiting', finished_at = null")
    assert drain(reviewed, desk(served)).manual == 1
    assert len(served.requests) == 1


def test_what_was_filed_is_taken_back_when_its_day_has_passed(reviewed: Warehouse, tmp_path: Path):
    """Prevents a reminder in the folder that tells people of a day that is over."""
    fact = {"name": "deadline", "value": language_of("en").day(date(2026, 4, 12)), "unit": "date"}
    with http_receiver(webhook_fault([SECRET])) as receiver:
        receiver.answers.append(Answer(503))
        to = SendingSystem(receiver.url, (SECRET,), may_be_private=True)
        assert export(reviewed, tmp_path / "out", to) == Exported()
        with reviewed.connect() as connection:
            connection.execute(
                "update ops.content_briefs set brief = jsonb_set(brief, '{facts}', %s::jsonb)", [json.dumps([fact])]
            )
            connection.execute("update ops.content_drafts set export_due_at = clock_timestamp()")
        assert export(reviewed, tmp_path / "out", to) == Exported(withdrawn=1)
        # Whether its first message arrived nobody knows.
        assert [taken["type"] for taken in receiver.taken] == ["content.retired"]
    assert list((tmp_path / "out").iterdir()) == []
