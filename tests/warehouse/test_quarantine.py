"""Records that broke their contract: put aside unreadable to others, and tried again."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestration.ingest.open_load import PersonalData
from orchestration.ingest.requeue import requeue
from orchestration.privacy.vault import Cipher
from orchestration.warehouse import Warehouse, builds, ledger
from orchestration.warehouse.quarantine import waiting_records
from tests.feed_records import COMPLETE, NOW, PERSONAL_DATA, line, write_jsonl
from tests.loading import check_ledger, counts, ingest, query, touches


def test_a_bad_record_is_put_aside_with_its_place_and_reason_and_unreadable_to_others(
    warehouse: Warehouse, tmp_path: Path
):
    bad = COMPLETE["viral_actions"] | {"event_id": "v-2", "action_type": "sung"}
    path = write_jsonl(tmp_path, "viral_actions", [COMPLETE["viral_actions"], bad, b'{"x": "ada@example.com"'])
    assert counts(ingest(warehouse, path)[0]) == (3, 1, 0, 0, 2)
    found = query(warehouse, "select feed, source, line, field, reason, record from raw.quarantine order by line")
    assert [row[:4] for row in found] == [
        ("viral_actions", str(path), 2, "action_type"),
        ("viral_actions", str(path), 3, None),
    ]
    assert 'found "sung", expected one of invite_sent' in found[0][4]
    opened = [PERSONAL_DATA.quarantine.open(row[5], b"viral_actions") for row in found]
    assert opened == [b"J" + line(bad), b'J{"x": "ada@example.com"']


def test_requeued_records_load_once_what_kept_them_out_is_gone(warehouse: Warehouse, tmp_path: Path):
    ahead = (NOW + timedelta(days=3)).isoformat()
    csv = tmp_path / "conversions" / "a.csv"
    csv.parent.mkdir()
    csv.write_text(
        f"conversion_id,user_id,occurred_at,conversion_type,revenue_cents\nk-1,u-1,{ahead},signup,100\nk-2,u-1\n"
    )
    write_jsonl(tmp_path, "touchpoints", [*touches(2, occurred_at=ahead), *touches(1, interaction="sung"), *touches(1)])
    assert [counts(report) for report in ingest(warehouse, tmp_path)] == [(4, 1, 0, 0, 3), (2, 0, 0, 0, 2)]
    assert [counts(report) for report in requeue(warehouse, personal_data=PERSONAL_DATA, now=NOW)] == [
        (3, 0, 0, 0, 3),
        (2, 0, 0, 0, 2),
    ]
    assert query(warehouse, "select count(*) from raw.loads") == [(2,)]
    later = requeue(warehouse, personal_data=PERSONAL_DATA, now=NOW + timedelta(days=2))
    assert [(report.feed, report.source, counts(report)) for report in later] == [
        ("touchpoints", "requeue", (3, 1, 1, 1, 1)),
        ("conversions", "requeue", (2, 1, 0, 0, 1)),
    ]
    found = query(
        warehouse,
        "select line, released_at is not null, released_load_id is not null, record is null from raw.quarantine "
        "where feed = 'touchpoints' order by line",
    )
    assert found == [(1, True, True, False), (2, True, True, False), (3, False, False, False)]
    assert query(warehouse, "select revenue_cents from raw.conversions") == [(100,)]
    check_ledger(warehouse)


def test_a_released_record_is_kept_until_its_load_is_published(warehouse: Warehouse, tmp_path: Path):
    """Held and withdrawn, a requeue's load would otherwise take the only copy with it."""
    ahead = (NOW + timedelta(days=3)).isoformat()
    ingest(warehouse, write_jsonl(tmp_path, "touchpoints", [*touches(2, occurred_at=ahead), b"{"]))
    later = {"personal_data": PERSONAL_DATA, "now": NOW + timedelta(days=3)}
    for status in ("withdrawn", "loaded"):
        (report,) = requeue(warehouse, **later)
        assert counts(report) == (3, 2, 0, 0, 1)
        if status == "withdrawn":
            withdraw(warehouse, report.load_id)
            assert waiting(warehouse) == 3
    with warehouse.connect() as connection:
        build = builds.open_build(
            connection,
            as_of=None,
            policy_sha256="",
            code_sha256="",
            requested_by="a test",
            run_id=None,
            full_reason=None,
        )
        builds.mark_published(connection, build.build_id, {})
    found = query(warehouse, "select released_load_id, record is null from raw.quarantine order by line")
    assert found == [(report.load_id, True), (report.load_id, True), (None, False)]
    withdraw(warehouse, report.load_id)
    assert waiting(warehouse) == 1


def test_a_requeue_gives_nothing_back_to_a_withdrawn_load(warehouse: Warehouse, tmp_path: Path):
    """Its file may be sent again: the records would come twice, or wait for ever."""
    ahead = (NOW + timedelta(days=3)).isoformat()
    (sent,) = ingest(warehouse, write_jsonl(tmp_path, "touchpoints", touches(2, occurred_at=ahead)))
    (requeued,) = requeue(warehouse, personal_data=PERSONAL_DATA, now=NOW + timedelta(days=3))
    withdraw(warehouse, sent.load_id)
    assert query(warehouse, "select count(*) from raw.touchpoints") == [(2,)]
    withdraw(warehouse, requeued.load_id)
    assert query(warehouse, "select count(*) from raw.quarantine") == [(0,)]


def withdraw(warehouse: Warehouse, load_id: int) -> None:
    with warehouse.connect() as connection:
        ledger.hold(connection, [load_id], "it looks wrong")
        ledger.withdraw(connection, load_id)


def waiting(warehouse: Warehouse) -> int:
    """The number of records that a requeue would try."""
    with warehouse.connect() as connection:
        return len(waiting_records(connection, "touchpoints", after=0, limit=10))


def test_a_reason_is_brought_up_to_date_by_a_requeue(warehouse: Warehouse, tmp_path: Path):
    ingest(warehouse, write_jsonl(tmp_path, "touchpoints", touches(1, occurred_at="2027-01-01T00:00:00Z")))
    requeue(warehouse, personal_data=PERSONAL_DATA, now=NOW + timedelta(days=365), frozen_before=date(2027, 2, 1))
    ((reason,),) = query(warehouse, "select reason from raw.quarantine")
    assert reason == "occurred_at: too_late: found 2027-01-01 00:00:00+00:00, but days before 2027-02-01 are frozen"


def test_quarantine_under_a_lost_key_says_so(warehouse: Warehouse, tmp_path: Path):
    ingest(warehouse, write_jsonl(tmp_path, "touchpoints", [b"{"]))
    other = PersonalData(PERSONAL_DATA.pseudonyms, PERSONAL_DATA.vault, Cipher(b"x" * 32, purpose="quarantine"))
    with pytest.raises(ValueError, match="MARKETING_VAULT_KEY is not the one"):
        requeue(warehouse, personal_data=other, now=NOW)
