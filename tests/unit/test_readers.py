"""Feed files to records: every format, every kind of damage, and memory that does not grow with the file."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestration.ingest import lines as lines_module
from orchestration.ingest.csv_rows import read_csv
from orchestration.ingest.lines import MAX_LINE_BYTES, Batch, UnreadableFileError, read_blocks
from orchestration.ingest.readers import read
from orchestration.ingest.records import FEEDS
from orchestration.ingest.validation import Form, Validator
from tests.feed_records import COMPLETE, NOW, PERSONAL_DATA, line

FEED = FEEDS["identities"]
HEADER = "event_id,anonymous_id,user_id,occurred_at\n"


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def numbered(batches: list[Batch]) -> list[tuple[int, object]]:
    """(line, record) of all batches."""
    return [pair for batch in batches for pair in zip(batch.lines, batch.sources, strict=True)]


def unreadable(batches: list[Batch]) -> list[tuple[int, bytes]]:
    return [(one.line, one.source) for batch in batches for one in batch.unreadable]


def csv_batches(text: str | bytes) -> list[Batch]:
    return list(read_csv(io.BytesIO(text.encode() if isinstance(text, str) else text), FEED))


# -- JSON lines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b'{"a":1}\n\n  \r\n{"b":2}\r\n', b'\xef\xbb\xbf{"a":1}\n\n\n{"b":2}'])
def test_lines_keep_their_numbers_over_blank_ones(tmp_path: Path, content: bytes):
    batches = list(read(written(tmp_path, "x.jsonl", content), FEED))
    assert [(number, bytes(text).strip()) for number, text in numbered(batches)] == [(1, b'{"a":1}'), (4, b'{"b":2}')]


def test_an_empty_file_holds_no_record(tmp_path: Path):
    for name in ("x.jsonl", "x.csv"):
        assert numbered(list(read(written(tmp_path, name, b""), FEED))) == []


@pytest.mark.parametrize("length", [MAX_LINE_BYTES + 1, 3 * lines_module.BLOCK_BYTES])
def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, length: int):
    content = b"first\n" + b"x" * length + b"\nthird\n"
    batches = list(read(written(tmp_path, "x.jsonl", content), FEED))
    assert numbered(batches) == [(1, b"first"), (3, b"third")]
    ((number, kept),) = unreadable(batches)
    assert (number, len(kept)) == (2, lines_module.KEPT_OF_LONG_LINE)


@example(texts=[b"\xef\xbb\xbf"], block_bytes=1)
@example(texts=[b"\xef\xbb\xbf", b"", b"a"], block_bytes=3)
@given(
    texts=st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=30),
    block_bytes=st.integers(1, 40),
)
def test_blocks_of_any_size_hold_the_same_lines(texts: list[bytes], block_bytes: int):
    """A line must not be torn, lost or renumbered where one block ends and the next begins."""
    content = b"\n".join(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK_BYTES", block_bytes)
        patch.setattr(lines_module, "MAX_LINE_BYTES", 8)
        blocks = list(read_blocks(io.BytesIO(content)))
    found = {n: text for block in blocks for n, text in zip(block.numbers, block.lines, strict=True)}
    too_long = {one.line for block in blocks for one in block.unreadable}
    expected = dict(enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1))
    assert {n: text for n, text in expected.items() if len(text) <= 8 and text} == {n: t for n, t in found.items() if t}
    assert too_long == {n for n, text in expected.items() if len(text) > 8}


# -- CSV ----------------------------------------------------------------------------------------------------


def test_an_empty_cell_is_absent():
    batches = csv_batches(HEADER + "i-1,,u-1,\n")
    assert numbered(batches) == [(2, {"event_id": "i-1", "user_id": "u-1"})]


def test_quoted_cells_may_hold_commas_quotes_and_lines():
    batches = csv_batches(HEADER + '"i,1","a ""b""\n\nc",u-1,t\ni-2,a,u,t\n')
    assert numbered(batches) == [
        (2, {"event_id": "i,1", "anonymous_id": 'a "b"\n\nc', "user_id": "u-1", "occurred_at": "t"}),
        (5, {"event_id": "i-2", "anonymous_id": "a", "user_id": "u", "occurred_at": "t"}),
    ]


@pytest.mark.parametrize("bad", ['i-1,"a,u,t', 'i-1,a"b,u,t', 'i-1,"a"b,u,t', "i-1,a,u", "i-1,a,u,t,z", "i-1,a\rb,u,t"])
def test_a_bad_line_takes_no_other_with_it(bad: str):
    """A stray quote would swallow all that follows it, up to the next quote."""
    batches = csv_batches(HEADER + f"i-0,a,u,t\n{bad}\ni-2,a,u,t\ni-3,a,u,t\n")
    assert [number for number, _ in numbered(batches)] == [2, 4, 5]
    assert unreadable(batches) == [(3, bad.encode())]


def test_a_cell_of_any_length_up_to_a_line_never_stops_the_reading():
    batches = csv_batches(HEADER + f"i-1,{'x' * 200_000},u,t\ni-2,a,u,t\n")
    assert [number for number, _ in numbered(batches)] == [3]
    assert [number for number, _ in unreadable(batches)] == [2]


def test_a_line_in_another_encoding_is_refused_alone():
    batches = csv_batches(HEADER.encode() + "i-1,ä,u,t\n".encode("latin-1") + b"i-2,a,u,t\n")
    assert [number for number, _ in numbered(batches)] == [3]
    assert unreadable(batches) == [(2, "i-1,ä,u,t".encode("latin-1"))]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("event_id,user_id,occurred_at", "columns are missing: anonymous_id"),
        ("event_id,event_id,anonymous_id,user_id,occurred_at", "columns stand twice: event_id"),
        ('"event_id', "not a CSV header"),
    ],
)
def test_a_header_that_cannot_hold_the_feed_refuses_the_file(header: str, words: str):
    """Otherwise each of its records would go to quarantine, for one and the same reason."""
    with pytest.raises(UnreadableFileError, match=words):
        csv_batches(header + "\n1,2,3,4\n")


CELLS = st.text('ab,"\n é', max_size=6)


@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=12), block_bytes=st.integers(8, 64))
def test_what_csv_writers_write_is_read_back(rows: list[tuple[str, ...]], block_bytes: int):
    names = HEADER.strip().split(",")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([names, *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK_BYTES", block_bytes)
        batches = csv_batches(text.getvalue())
    assert unreadable(batches) == []
    assert [record for _, record in numbered(batches)] == [
        {name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows
    ]


# -- compression, Parquet -----------------------------------------------------------------------------------


def test_compressed_files_read_as_the_plain_ones(tmp_path: Path):
    content = line(COMPLETE["identities"]) + b"\n"
    packed = written(tmp_path, "x.jsonl.gz", gzip.compress(content))
    assert numbered(list(read(packed, FEED))) == numbered(list(read(written(tmp_path, "x.jsonl", content), FEED)))


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.csv.gz", "x.parquet"])
@pytest.mark.parametrize("damage", ["cut", "no such format", "garbled"])
def test_a_broken_file_says_so(tmp_path: Path, name: str, damage: str):
    """Half of a file must never pass for the whole of it."""
    rows = [COMPLETE["identities"] | {"event_id": f"i-{number}"} for number in range(5000)]
    if name.endswith("parquet"):
        path = tmp_path / name
        pq.write_table(pa.Table.from_pylist(rows), path)
        content = path.read_bytes()
    else:
        text = HEADER + "".join(",".join(row.values()) + "\n" for row in rows) if "csv" in name else ""
        content = gzip.compress((text or "".join(json.dumps(row) + "\n" for row in rows)).encode())
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "no such format": b"no such format" * 20,
        "garbled": content[:middle]
        + bytes(byte ^ 0x55 for byte in content[middle : middle + 400])
        + content[middle + 400 :],
    }[damage]
    with pytest.raises(UnreadableFileError):
        list(read(written(tmp_path, name, damaged), FEED))


def test_a_name_of_no_known_format_is_refused(tmp_path: Path):
    with pytest.raises(UnreadableFileError, match="does not end in"):
        list(read(written(tmp_path, "x.xlsx", b""), FEED))


def test_parquet_without_a_required_column_or_a_time_zone_is_refused(tmp_path: Path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"event_id": ["i-1"]}), path)
    with pytest.raises(UnreadableFileError, match="columns are missing: anonymous_id, user_id, occurred_at"):
        list(read(path, FEED))
    naive = pa.array([0], pa.timestamp("us"))
    pq.write_table(pa.table({"event_id": ["i"], "anonymous_id": ["a"], "user_id": ["u"], "occurred_at": naive}), path)
    with pytest.raises(UnreadableFileError, match="occurred_at: found timestamp\\[us\\] without a time zone"):
        list(read(path, FEED))


@pytest.mark.parametrize("feed", FEEDS)
def test_all_formats_mean_the_same(tmp_path: Path, feed: str):
    """One contract: what a record says, and its hash, must not depend on the file that brought it."""
    whole = COMPLETE[feed] | {"extra": "x"}
    sparse = {
        name: value
        for name, value in whole.items()
        if FEEDS[feed].fields.get(name) and FEEDS[feed].fields[name].required
    }
    rows = [whole, sparse | {name: whole[name] for name in FEEDS[feed].one_of[:1]}]
    paths = [written(tmp_path, "x.jsonl", b"".join(line(row) + b"\n" for row in rows))]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(whole), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    paths.append(written(tmp_path, "x.csv", text.getvalue().encode()))
    for unit in ("us", "ns"):
        paths.append(tmp_path / f"x-{unit}.parquet")
        pq.write_table(_table(feed, rows, list(whole), unit), paths[-1])
    validator = Validator(FEEDS[feed], PERSONAL_DATA.pseudonyms, now=NOW)
    results = [[validator.check(batch.lines, batch.sources) for batch in read(path, FEEDS[feed])] for path in paths]
    kept = [[checked for checked in result if checked.count] for result in results]
    assert [[(checked.count, checked.rejected) for checked in result] for result in kept] == [[(2, [])]] * len(paths)
    assert all(result[0].columns == kept[0][0].columns for result in kept[1:])


def _table(feed: str, rows: list[dict[str, object]], names: list[str], unit: str) -> pa.Table:
    """The rows as a table with proper types: times, days, numbers that become floats where some are missing."""
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kind = FEEDS[feed].fields[name].kind if name in FEEDS[feed].fields else str
        if kind is datetime:
            times = [None if value is None else datetime.fromisoformat(str(value)) for value in values]
            columns[name] = pa.array(times, pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, "Europe/Berlin"))
        elif kind is int and None in values:
            columns[name] = pa.array([float("nan") if value is None else float(str(value)) for value in values])
        elif name.endswith("_on"):
            columns[name] = pa.array(
                [datetime.fromisoformat(str(value)).replace(tzinfo=UTC).date() for value in values]
            )
        else:
            columns[name] = pa.array(values)
    columns["extra"] = columns["extra"].dictionary_encode()
    return pa.table(columns)


def test_unreadable_text_is_marked_as_such():
    """A requeue must not try such a line as JSON."""
    (batch,) = [batch for batch in csv_batches(HEADER + "i-1,a,u\n") if batch.unreadable]
    assert batch.unreadable[0].form is Form.TEXT
