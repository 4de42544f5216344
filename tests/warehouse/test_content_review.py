"""What people decide of content, and where it goes from there."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from orchestration.content.asking import ask
from orchestration.content.draining import drain
from orchestration.content.exporting import SendingSystem, export, withdraw
from orchestration.content.languages import language_of
from orchestration.content.working import waits, work
from orchestration.warehouse import Warehouse
from orchestration.warehouse import content_drafts as stored
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
        assert export(reviewed, tmp_path / "out", to) == 0
        assert drafts(reviewed)[0]["status"] == "approved"
        # Not each minute: the next attempt has its time.
        assert export(reviewed, tmp_path / "out", to) == 0
        assert receiver.asked == 1
        with reviewed.connect() as connection:
            connection.execute("update ops.content_drafts set export_due_at = clock_timestamp()")
        assert export(reviewed, tmp_path / "out", to) == 1
        assert export(reviewed, tmp_path / "out", to) == 0
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
        assert export(reviewed, tmp_path, SendingSystem(receiver.url, (SECRET,))) == 0
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
        assert export(reviewed, out, to) == 1
        assert len(list(out.iterdir())) == 1
        judged(reviewed, "loser")
        receiver.answers.append(Answer(503))
        assert work(reviewed, desk(served), NOW, folder=out, to=to).withdrawn == 0
        assert list(out.iterdir()) == []
        # It has its time, as any message.
        assert withdraw(reviewed, out, to) == 0
        assert receiver.asked == 2
        with reviewed.connect() as connection:
            connection.execute("update ops.content_drafts set export_due_at = clock_timestamp()")
        assert waits(reviewed, desk(served), NOW) == "1 retired drafts"
        assert withdraw(reviewed, out, to) == 1
        assert withdraw(reviewed, out, to) == 0
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


def test_what_never_went_out_is_not_taken_back(reviewed: Warehouse, tmp_path: Path):
    with reviewed.connect() as connection:
        assert stored.retire(connection, 1, author="bob", reason="second thoughts")
        assert not stored.retire(connection, 2, author="bob", reason="was rejected")
    assert export(reviewed, tmp_path, None) == 0
    assert withdraw(reviewed, tmp_path, None) == 0


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
    assert export(reviewed, tmp_path, None) == 0


def test_what_names_a_day_that_has_passed_is_not_sent(reviewed: Warehouse, tmp_path: Path):
    fact = {"name": "deadline", "value": language_of("en").day(date(2026, 4, 12)), "unit": "date"}
    with reviewed.connect() as connection:
        connection.execute(
            "update ops.content_briefs set brief = jsonb_set(brief, '{facts}', %s::jsonb)", [json.dumps([fact])]
        )
    assert export(reviewed, tmp_path, None) == 0
    assert drafts(reviewed)[0]["reason"] == "its deadline has passed"
