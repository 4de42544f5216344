"""Memory of a loader, whatever the size and shape of the file."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestration.warehouse import Warehouse
from tests.feed_records import AT, line
from tests.loading import touches

ROOT = Path(__file__).parents[2]

MEASURED = """
import re, sys
from pathlib import Path
from orchestration.ingest.loader import load
from orchestration.warehouse import Warehouse
from tests.feed_records import NOW, PERSONAL_DATA
report, = load(Warehouse(Path("."), sys.argv[1], ""), [Path(sys.argv[2])], personal_data=PERSONAL_DATA, now=NOW)
# Not ru_maxrss: a new process inherits that from the one that started it.
print(report.inserted, re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak_kib(warehouse: Warehouse, path: Path) -> tuple[int, int]:
    """(inserted, peak memory in KiB) of a process that loads this file."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, warehouse.url, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    inserted, peak = map(int, done.stdout.split())
    return inserted, peak


def test_memory_does_not_grow_with_the_file(warehouse: Warehouse, tmp_path: Path):
    small = 30_000

    def written(name: str, numbers: Sequence[int]) -> Path:
        path = tmp_path / "touchpoints" / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w") as file:
            for number in numbers:
                file.write(f'{{"event_id":"t-{number}","user_id":"u-{number % 999}","occurred_at":"{AT}"}}\n')
        return path

    inserted, peak = peak_kib(warehouse, written("small.jsonl", range(small)))
    inserted_of_large, peak_of_large = peak_kib(warehouse, written("large.jsonl", range(small, 11 * small)))
    assert (inserted, inserted_of_large) == (small, 10 * small)
    assert peak_of_large < 2 * peak


def test_an_endless_line_needs_no_more_memory_than_others(warehouse: Warehouse, tmp_path: Path):
    path = tmp_path / "touchpoints" / "endless.jsonl"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.write(line(touches(1)[0]) + b"\n")
        os.truncate(path, 300_000_000)
    inserted, peak = peak_kib(warehouse, path)
    assert inserted == 1
    assert peak < 250_000
