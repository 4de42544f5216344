"""Files to raw tables in a real PostgreSQL: each record once, whatever is sent again, split, shuffled or killed."""

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.ingest.landing import waiting_files
from orchestration.ingest.records import FEEDS
from orchestration.ingest.validation import Checked, Validator
from orchestration.privacy.pseudonyms import Pseudonyms
from orchestration.warehouse import Warehouse
from orchestration.warehouse.bulk import RawTable, RawWriter
from tests.feed_records import COMPLETE, KEY, PERSONAL_DATA, drawn_records, write_jsonl
from tests.loading import check_ledger, counts, empty, ingest, query, rows, touches

ROOT = Path(__file__).parents[2]


# -- every feed ---------------------------------------------------------------------------------------------


def test_the_contract_and_the_raw_tables_name_the_same_columns(warehouse: Warehouse):
    with warehouse.connect() as connection:
        for name, feed in FEEDS.items():
            table = RawTable.read(connection, name)
            assert sorted(table.columns) == sorted(feed.columns), name
            assert set(table.key) == {*feed.key, *(["record_sha256"] if feed.versioned else [])}, name
            assert table.versioned == feed.versioned


def test_every_feed_loads_and_loads_once(warehouse: Warehouse, tmp_path: Path):
    for feed, record in COMPLETE.items():
        write_jsonl(tmp_path, feed, [record | {"extra": 1}, record | {"extra": 1}])
    reports = ingest(warehouse, tmp_path)
    assert {report.feed: counts(report) for report in reports} == dict.fromkeys(FEEDS, (2, 1, 1, 0, 0))
    assert all(len(rows(warehouse, feed)) == 1 for feed in FEEDS)
    check_ledger(warehouse)


def test_the_least_record_of_every_feed_loads(warehouse: Warehouse, tmp_path: Path):
    """Columns for optional fields must take a null, or the default."""
    for feed, contract in FEEDS.items():
        needed = {name for name, field in contract.fields.items() if field.required} | set(contract.one_of[:1])
        write_jsonl(tmp_path, feed, [{name: COMPLETE[feed][name] for name in needed}])
    assert {counts(report) for report in ingest(warehouse, tmp_path)} == {(1, 1, 0, 0, 0)}


def test_text_that_copy_or_sql_could_trip_over_arrives_as_it_was(warehouse: Warehouse, tmp_path: Path):
    odd = ["a\tb", "a\\b", "a\nb\r", "\\N", "\\.", "it's", 'a"b', "%s {} $1", "é€😀", " ", "NULL", "x" * 10_000]
    records = [touches(1, start=n, utm_source=text, extra={text[:50]: text})[0] for n, text in enumerate(odd)]
    assert counts(ingest(warehouse, write_jsonl(tmp_path, "touchpoints", records))[0]) == (len(odd), len(odd), 0, 0, 0)
    found = query(warehouse, "select utm_source, properties from raw.touchpoints order by substr(event_id, 3)::int")
    assert found == [(text, {"extra": {text[:50]: text}}) for text in odd]


def test_keys_of_the_greatest_length_fit_the_index(warehouse: Warehouse, tmp_path: Path):
    """An index entry has a limit of its own, in bytes: a record beyond it would stop its whole file."""
    widest = "😀" * 64
    spend = COMPLETE["ad_spend"] | {"channel": "é" * 128, "campaign_id": widest}
    paths = [
        write_jsonl(tmp_path, "touchpoints", touches(1, event_id=widest, user_id=widest, campaign_id=widest)),
        write_jsonl(tmp_path, "ad_spend", [spend]),
    ]
    assert [report.inserted for report in ingest(warehouse, *paths)] == [1, 1]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(drawn_records(), min_size=1, max_size=40))
def test_no_record_stops_its_file(
    module_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, dict[str, Any]]]
):
    """What validation lets pass, PostgreSQL must take: one record that it refuses would keep a whole file out."""
    folder = tmp_path_factory.mktemp("drawn")
    for feed in sorted({feed for feed, _ in drawn}):
        own = [record for name, record in drawn if name == feed]
        (report,) = ingest(module_warehouse, write_jsonl(folder, feed, own))
        assert (report.refused, report.records_read) == (None, len(own))


# -- exactly once -------------------------------------------------------------------------------------------


def test_the_same_content_is_known_again_whatever_its_name(warehouse: Warehouse, tmp_path: Path):
    first = ingest(warehouse, write_jsonl(tmp_path, "touchpoints", [*touches(3), b"{"]))[0]
    again = ingest(warehouse, write_jsonl(tmp_path, "touchpoints", [*touches(3), b"{"], "b.jsonl"))[0]
    assert counts(first) == (4, 3, 0, 0, 1)
    assert (counts(again), again.load_id) == ((4, 0, 4, 0, 0), None)
    assert query(warehouse, "select count(*) from raw.loads") == [(1,)]


def test_the_first_of_a_key_wins_and_what_contradicts_it_is_counted(warehouse: Warehouse, tmp_path: Path):
    """A changed time under the same event_id must never count a touch twice, nor move it."""
    one = touches(1)[0]
    moved, other = one | {"occurred_at": "2026-05-01T00:00:00Z"}, one | {"extra": 1}
    report = ingest(warehouse, write_jsonl(tmp_path, "touchpoints", [one, moved, one, other]))[0]
    assert counts(report) == (4, 1, 3, 2, 0)
    report = ingest(warehouse, write_jsonl(tmp_path, "touchpoints", [other, *touches(2)], "b.jsonl"))[0]
    assert counts(report) == (3, 1, 2, 1, 0)
    assert query(warehouse, "select occurred_at, properties from raw.touchpoints where event_id = 't-0'")[0][1] is None
    check_ledger(warehouse)


def test_the_first_line_wins_across_the_batches_of_a_file(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("orchestration.ingest.lines.BLOCK_LINES", 3)
    records = [*touches(4, channel="first"), *touches(4, channel="second"), *touches(2, start=3, channel="third")]
    report = ingest(warehouse, write_jsonl(tmp_path, "touchpoints", records))[0]
    assert counts(report) == (10, 5, 5, 5, 0)
    found = query(warehouse, "select event_id, channel from raw.touchpoints order by event_id")
    assert found == [("t-0", "first"), ("t-1", "first"), ("t-2", "first"), ("t-3", "first"), ("t-4", "third")]


def test_every_version_is_kept_and_none_twice(warehouse: Warehouse, tmp_path: Path):
    spend = COMPLETE["ad_spend"]
    versions = [spend | {"cost_cents": cents, "campaign_id": campaign} for cents in (1, 2) for campaign in ("c", None)]
    assert counts(ingest(warehouse, write_jsonl(tmp_path, "ad_spend", versions * 2))[0]) == (8, 4, 4, 0, 0)
    again = [*reversed(versions), spend | {"campaign_id": None}]
    assert counts(ingest(warehouse, write_jsonl(tmp_path, "ad_spend", again, "b.jsonl"))[0]) == (5, 1, 4, 0, 0)


@pytest.mark.parametrize(
    ("feed", "field", "column"),
    [("users", "email", "email_is_disposable"), ("viral_actions", "recipient_email", "recipient_is_disposable")],
)
def test_an_update_of_the_list_of_disposable_domains_changes_no_old_verdict(
    warehouse: Warehouse, tmp_path: Path, feed: str, field: str, column: str
):
    """A re-sent history must be neither a new version, nor a conflict, nor judged anew."""
    (key,) = FEEDS[feed].key
    old, new = (COMPLETE[feed] | {key: name, field: "x@mail.acme.example"} for name in ("old", "new"))
    lists = [{"other.example"}, {"acme.example"}]
    first, again = (replace(PERSONAL_DATA, pseudonyms=Pseudonyms(KEY, disposable=listed)) for listed in lists)
    report = ingest(warehouse, write_jsonl(tmp_path, feed, [old]), personal_data=first)[0]
    assert counts(report) == (1, 1, 0, 0, 0)
    report = ingest(warehouse, write_jsonl(tmp_path, feed, [old, new], "b.jsonl"), personal_data=again)[0]
    assert counts(report) == (2, 1, 1, 0, 0)
    assert query(warehouse, f"select {key}, {column} from raw.{feed} order by {key} desc") == [
        ("old", False),
        ("new", True),
    ]


POOL = [
    *(
        (feed, COMPLETE[feed] | {FEEDS[feed].key[0]: f"{feed}-{n}"})
        for feed in ("touchpoints", "refunds")
        for n in range(6)
    ),
    *(
        ("users", COMPLETE["users"] | {"user_id": f"u-{n // 2}", "updated_at": f"2026-06-0{n % 2 + 1}T00:00:00Z"})
        for n in range(6)
    ),
    *(("ad_spend", COMPLETE["ad_spend"] | {"campaign_id": [None, "c"][n % 2], "cost_cents": n // 2}) for n in range(6)),
]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_split_shuffled_and_sent_again_the_raw_tables_are_the_same(
    module_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    """How senders cut and repeat their files must decide nothing."""
    empty(module_warehouse)
    order = data.draw(st.permutations(POOL + data.draw(st.lists(st.sampled_from(POOL), max_size=12))))
    folder = tmp_path_factory.mktemp("split")
    number = 0
    while order:
        cut = data.draw(st.integers(1, len(order)))
        for feed in dict.fromkeys(feed for feed, _ in order[:cut]):
            records = [record for name, record in order[:cut] if name == feed]
            number += 1
            path = write_jsonl(folder, feed, records, f"{number}.jsonl")
            report = ingest(module_warehouse, path)[0]
            assert report.records_read == report.inserted + report.duplicate
            assert report.conflicting == 0
        order = order[cut:]
    expected = {"touchpoints": 6, "refunds": 6, "users": 6, "ad_spend": 6}
    assert {feed: len(rows(module_warehouse, feed)) for feed in expected} == expected
    check_ledger(module_warehouse)


def test_two_loaders_of_one_file_make_one_load(warehouse: Warehouse, tmp_path: Path):
    path = write_jsonl(tmp_path, "touchpoints", touches(5000))
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: ingest(warehouse, path)[0], range(4)))
    assert sorted(report.inserted for report in reports) == [0, 0, 0, 5000]
    assert query(warehouse, "select count(*) from raw.loads") == [(1,)]


def test_loaders_of_overlapping_files_do_not_wait_for_each_other_for_ever(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each holds keys, and addresses, that the other wants: in opposite order that is a deadlock."""
    monkeypatch.setattr("orchestration.ingest.lines.BLOCK_LINES", 100)
    actions = [
        COMPLETE["viral_actions"] | {"event_id": f"v-{n}", "recipient_email": f"r{n}@example.com"} for n in range(2000)
    ]
    events = [
        COMPLETE["campaign_events"] | {"event_id": f"e-{n}", "recipient_email": f"r{n}@example.com"}
        for n in range(2000)
    ]
    paths = [
        write_jsonl(tmp_path, "viral_actions", actions),
        write_jsonl(tmp_path, "viral_actions", actions[::-1], "b.jsonl"),
        write_jsonl(tmp_path, "campaign_events", events[::-1]),
        write_jsonl(tmp_path, "campaign_events", events, "b.jsonl"),
    ]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda path: ingest(warehouse, path)[0], paths))
    assert sum(report.inserted for report in reports) == 4000
    assert query(warehouse, "select count(*) from privacy.vault") == [(2001,)]


LOADER = """
import sys
from pathlib import Path
from orchestration.ingest import lines
from orchestration.ingest.loader import load
from orchestration.warehouse import Warehouse
from tests.feed_records import NOW, PERSONAL_DATA
lines.BLOCK_LINES = 500
landing = Path(sys.argv[2])
warehouse = Warehouse(landing.parent, sys.argv[1], "")
load(warehouse, landing=landing, personal_data=PERSONAL_DATA, now=NOW,
     progress=lambda step: print(step.records, flush=True))
"""


def start_loader(warehouse: Warehouse, landing: Path) -> subprocess.Popen:
    """A loader of its own process, which prints a number after each batch."""
    return subprocess.Popen(
        [sys.executable, "-c", LOADER, warehouse.url, landing], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 30))])
def test_a_killed_load_leaves_nothing_half_and_is_made_good(warehouse: Warehouse, tmp_path: Path, seed: int):
    landing = tmp_path / "landing"
    users = [COMPLETE["users"] | {"user_id": f"u-{n}", "email": f"u{n}@example.com"} for n in range(4000)]
    write_jsonl(landing, "touchpoints", [*touches(6000), b"{"])
    write_jsonl(landing, "users", users)
    draw = random.Random(seed)
    loader = start_loader(warehouse, landing)
    for _ in range(draw.randrange(18)):
        loader.stdout.readline()
    time.sleep(draw.random() * 0.05)
    loader.send_signal(signal.SIGKILL)
    loader.wait()
    for table in ("touchpoints", "users"):
        assert query(warehouse, f"select count(*) from raw.{table}")[0][0] in (0, 6000, 4000)
    ingest(warehouse, landing=landing)
    assert waiting_files(landing) == []
    assert len(rows(warehouse, "touchpoints")) == 6000
    assert len(rows(warehouse, "users")) == 4000
    assert query(warehouse, "select count(*) from raw.quarantine") == [(1,)]
    assert query(warehouse, "select count(*) from privacy.vault") == [(4001,)]
    assert query(warehouse, "select feed, count(*) from raw.loads group by feed order by feed") == [
        ("touchpoints", 1),
        ("users", 1),
    ]
    check_ledger(warehouse)


def test_an_interrupted_load_leaves_nothing(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C comes while PostgreSQL is busy with a batch."""
    monkeypatch.setattr("orchestration.ingest.lines.BLOCK_LINES", 100)
    path = write_jsonl(tmp_path, "touchpoints", touches(1000))

    def interrupt(_progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(warehouse, path, progress=interrupt)
    assert rows(warehouse, "touchpoints") == []
    assert ingest(warehouse, path)[0].inserted == 1000


# -- files that cannot be read ------------------------------------------------------------------------------


def test_a_refused_file_loads_nothing_and_stops_no_other(warehouse: Warehouse, tmp_path: Path):
    landing = tmp_path / "landing"
    write_jsonl(landing, "touchpoints", touches(2))
    broken = landing / "touchpoints" / "b.jsonl.gz"
    broken.write_bytes(b"\x1f\x8b\x08 this is no gzip file")
    reports = ingest(warehouse, landing=landing)
    assert [(report.inserted, bool(report.refused)) for report in reports] == [(2, False), (0, True)]
    assert waiting_files(landing) == []
    assert [path.suffix for path in sorted((landing / ".failed" / "touchpoints").iterdir())] == [".gz", ".txt"]
    assert query(warehouse, "select count(*) from raw.loads") == [(1,)]


@pytest.mark.parametrize("problem", ["database", "value", "arithmetic"])
def test_a_file_that_nobody_foresaw_is_refused_and_stops_no_other(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
):
    """Otherwise the files after it would be kept out at every try."""
    landing = tmp_path / "landing"
    write_jsonl(landing, "conversions", [COMPLETE["conversions"]])
    write_jsonl(landing, "touchpoints", touches(2))
    check = Validator.check

    def passing(self: Validator, *arguments: Any, **options: Any) -> Checked:
        checked = check(self, *arguments, **options)
        if self.feed.name == "touchpoints":
            if problem != "database":
                raise {"value": ValueError, "arithmetic": OverflowError}[problem]("of ada@example.com")
            checked.columns["occurred_at"] = ["no time"] * checked.count
        return checked

    monkeypatch.setattr(Validator, "check", passing)
    reports = {report.feed: report for report in ingest(warehouse, landing=landing)}
    assert reports["conversions"].inserted == 1
    refused = reports["touchpoints"].refused
    assert "invalid input syntax" in refused if problem == "database" else refused.startswith("of email:")
    assert waiting_files(landing) == []
    (reason,) = (landing / ".failed" / "touchpoints").glob("*.txt")
    assert reason.read_text() == refused + "\n"
    assert query(warehouse, "select feed from raw.loads") == [("conversions",)]


def test_a_lost_connection_is_no_fault_of_the_file(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    landing = tmp_path / "landing"
    path = write_jsonl(landing, "touchpoints", touches(2))

    def lose(*_arguments: Any, **_options: Any) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(RawWriter, "write", lose)
    with pytest.raises(psycopg.OperationalError):
        ingest(warehouse, landing=landing)
    assert path.exists()


def test_a_file_given_by_its_path_stays_where_it_is(warehouse: Warehouse, tmp_path: Path):
    good = write_jsonl(tmp_path, "touchpoints", touches(1))
    bad = tmp_path / "touchpoints" / "b.parquet"
    bad.write_bytes(b"?")
    assert [report.refused is None for report in ingest(warehouse, good, bad)] == [True, False]
    assert good.exists()
    assert bad.exists()


def test_a_file_that_changes_while_it_is_read_is_left_for_later(warehouse: Warehouse, tmp_path: Path):
    """Its checksum would then name a content that was never loaded."""
    path = write_jsonl(tmp_path / "landing", "touchpoints", touches(5))

    def grow(_progress: object) -> None:
        with path.open("a") as file:
            file.write("\n")

    report = ingest(warehouse, landing=tmp_path / "landing", progress=grow)[0]
    assert report.refused == "it changed while it was read"
    assert path.exists()
    assert rows(warehouse, "touchpoints") == []
    assert ingest(warehouse, landing=tmp_path / "landing")[0].inserted == 5
