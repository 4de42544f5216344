"""Ingest: records per second from a file to the deduplicated, committed raw table, beside a COPY that checks nothing.

    python -m benchmarks.ingest [--records 1000000] [--history 0] [--extra]

The warehouse is a fresh embedded one in a temporary folder. Prints each figure's ratio to the plain COPY of the
same run, and where the time goes: each step alone, in microseconds for a record.
"""

import argparse
import json
import random
import resource
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Cost, Meter
from orchestration.ingest.loader import load
from orchestration.ingest.open_load import PersonalData
from orchestration.ingest.readers import read
from orchestration.ingest.records import FEEDS
from orchestration.ingest.validation import Checked, Validator
from orchestration.privacy.pseudonyms import Pseudonyms
from orchestration.privacy.vault import Cipher
from orchestration.warehouse import Warehouse
from orchestration.warehouse.bulk import copy_rows

FEED = FEEDS["touchpoints"]
NOW = datetime.now(UTC)
CHANNELS = ("paid_search", "paid_social", "email", "direct", "organic_search", "display")


def touchpoints(count: int, seed: int, *, extra: bool) -> Iterator[dict[str, str]]:
    """Touchpoints with random event ids, the worst order for an index."""
    draw = random.Random(seed)
    start = NOW - timedelta(days=90)
    for number in range(count):
        at = start + timedelta(seconds=draw.random() * 90 * 86_400)
        channel = draw.choice(CHANNELS)
        record = {
            "event_id": str(uuid.UUID(int=draw.getrandbits(128))),
            "user_id" if number % 3 else "anonymous_id": f"u-{draw.randrange(count // 10 + 1):09d}",
            "occurred_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channel": channel,
            "campaign_id": f"{channel}-{draw.randrange(40)}",
            "interaction": "click",
            "utm_source": "search",
            "utm_medium": "cpc",
            "utm_campaign": f"{channel}-2026",
        }
        yield {**record, "device_type": "mobile"} if extra else record


def write_jsonl(path: Path, records: Iterator[dict[str, str]]) -> None:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.writelines(json.dumps(record, separators=(",", ":")) + "\n" for record in records)


def write_parquet(path: Path, records: Iterator[dict[str, str]]) -> None:
    """The same, with times as timestamps and a few row groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(records)
    names = dict.fromkeys(name for row in rows[:10] for name in row)
    columns = {name: pa.array([row.get(name) for row in rows]) for name in names}
    columns["occurred_at"] = pa.array(
        [datetime.fromisoformat(row["occurred_at"]) for row in rows], pa.timestamp("us", "UTC")
    )
    pq.write_table(pa.table(columns), path, row_group_size=250_000)


def validated(path: Path, personal_data: PersonalData) -> Iterator[Checked]:
    """The batches of a file, read and validated."""
    validator = Validator(FEED, personal_data.pseudonyms, now=NOW)
    return (validator.check(batch.lines, batch.sources, plain=batch.plain) for batch in read(path, FEED))


def copy_alone(warehouse: Warehouse, file: Path, *, indexed: bool) -> None:
    """COPY ready text into a copy of the raw table and commit: no check, no deduplication."""
    with warehouse.connect() as connection:
        connection.execute("drop table if exists raw.copied")
        connection.execute(f"create table raw.copied (like raw.touchpoints {'including indexes' if indexed else ''})")
        connection.commit()
        with file.open("rb") as text, connection.cursor() as cursor, cursor.copy("copy raw.copied from stdin") as copy:
            while block := text.read(1 << 20):
                copy.write(block)


def write_copy_text(batches: Iterator[Checked], file: Path) -> None:
    """COPY's text for validated batches, in the table's order of columns."""
    with file.open("w") as text:
        for batch in batches:
            text.writelines(copy_rows(_columns(batch), plain=batch.plain))


def _columns(batch: Checked) -> list[Sequence[object]]:
    return [batch.columns.get(name) or [0] * batch.count for name in FEED.columns]


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--history", type=int, default=0, help="touchpoints that are in the table before")
    parser.add_argument("--extra", action="store_true", help="give every record an extra field")
    options = parser.parse_args()
    count = options.records
    personal_data = PersonalData(
        Pseudonyms(b"p" * 32), Cipher(b"v" * 32, purpose="vault"), Cipher(b"v" * 32, purpose="quarantine")
    )
    with tempfile.TemporaryDirectory(prefix="ingest-benchmark-") as folder:
        home = Path(folder)
        files = {
            "jsonl": home / "files" / "touchpoints" / "events.jsonl",
            "parquet": home / "files" / "touchpoints" / "events.parquet",
        }
        write_jsonl(files["jsonl"], touchpoints(count, 1, extra=options.extra))
        write_parquet(files["parquet"], touchpoints(count, 2, extra=options.extra))
        warehouse = Warehouse.open(home / "home")
        try:
            _run(warehouse, files, personal_data, count, options.history)
        finally:
            warehouse.server.stop()


def _run(warehouse: Warehouse, files: dict[str, Path], personal_data: PersonalData, count: int, history: int) -> None:
    meter = Meter(warehouse)

    def ingest(path: Path) -> None:
        report = load(warehouse, [path], personal_data=personal_data, now=NOW)[0]
        if report.refused is not None:
            raise SystemExit(f"{path}: {report.refused}")

    def show(name: str, cost: Cost) -> None:
        ratio = cost.wall / plain.wall
        micros = 1e6 / count
        print(
            f"{name:<40}{count / cost.wall:>11,.0f}{ratio:>9.2f}"
            f"{cost.wall * micros:>10.2f}{cost.client * micros:>10.2f}{cost.server * micros:>10.2f}"
        )

    jsonl, parquet = files["jsonl"], files["parquet"]
    if history:
        past = jsonl.with_name("history.jsonl")
        write_jsonl(past, touchpoints(history, 3, extra=False))
        ingest(past)

    text = jsonl.with_name("copy.txt")
    write_copy_text(validated(jsonl, personal_data), text)
    reading = meter.cost(lambda: [len(batch.sources) for batch in read(jsonl, FEED)])
    validating = meter.cost(lambda: [batch.count for batch in validated(jsonl, personal_data)])
    writing = meter.cost(lambda: write_copy_text(validated(jsonl, personal_data), text))
    bare = meter.cost(lambda: copy_alone(warehouse, text, indexed=False))
    plain = meter.cost(lambda: copy_alone(warehouse, text, indexed=True))

    print(f"{count:,} touchpoints, {history:,} in the table before")
    print(f"{'':<40}{'records/s':>11}{'x plain':>9}{'wall us':>10}{'client us':>10}{'server us':>10}")
    show("plain COPY, no index", bare)
    show("plain COPY, the table's indexes", plain)
    show("JSONL to deduplicated raw", meter.cost(lambda: ingest(jsonl)))
    show("Parquet to deduplicated raw", meter.cost(lambda: ingest(parquet)))
    again = jsonl.with_name("again.jsonl")
    lines = jsonl.read_bytes().splitlines(keepends=True)
    random.Random(4).shuffle(lines)
    again.write_bytes(b"".join(lines))
    del lines
    show("JSONL again, shuffled: all duplicates", meter.cost(lambda: ingest(again)))
    show("JSONL again, the same bytes", meter.cost(lambda: ingest(jsonl)))
    print("the client's steps for JSONL, each including those before it")
    show("  read", reading)
    show("  decode and validate", validating)
    show("  write as COPY text", writing)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
