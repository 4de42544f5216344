"""Files to raw tables: one file, one transaction, one row of raw.loads.

The next batch is read and checked while PostgreSQL works on the last one: two batches are in memory at a time.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from orchestration.warehouse import Warehouse, ledger
from orchestration.warehouse.errors import RefusedValueError, refused_values

from .landing import FeedFile, given_files, move_to_done, move_to_failed, waiting_files
from .lines import Batch, UnreadableFileError
from .open_load import LoadReport, OpenLoad, PersonalData
from .readers import read
from .records import FEEDS, Feed
from .validation import Checked, Validator

APPLICATION_NAME = "marketing ingest"


@dataclass(frozen=True)
class Progress:
    """How far a file is; bytes_total: its size."""

    file: FeedFile
    bytes_read: int
    bytes_total: int
    records: int


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class _Ingest:
    """The arguments of load() and requeue()."""

    warehouse: Warehouse
    personal_data: PersonalData
    now: datetime
    frozen_before: date | None

    def validator(self, feed: Feed) -> Validator:
        return Validator(feed, self.personal_data.pseudonyms, now=self.now, frozen_before=self.frozen_before)


def load(
    warehouse: Warehouse,
    paths: Sequence[Path] = (),
    *,
    personal_data: PersonalData,
    now: datetime,
    landing: Path | None = None,
    frozen_before: date | None = None,
    progress: ProgressCallback = lambda progress: None,
    on_report: Callable[[LoadReport], None] = lambda report: None,
) -> list[LoadReport]:
    """Load feed files in turn; one that cannot be read or stored is refused in its report, and the others load.

    paths: files or folders laid out <feed>/<file>; none: what waits in the landing folder. now: the real clock; a
    record's own time may lie at most a day after it. landing: files below it are moved when done with, others
    stay. frozen_before: facts of days before it come too late. on_report: called after each file.
    Raises WrongUsageError before anything is loaded, WarehouseError.
    """
    ingest = _Ingest(warehouse, personal_data, now, frozen_before)
    landing = landing and landing.resolve()
    files = given_files(paths) if paths or landing is None else waiting_files(landing)
    reports = []
    for file in files:
        own = landing if landing is not None and file.path.is_relative_to(landing) else None
        # Gone from the landing folder: another loader was faster.
        if own is None or file.path.exists():
            reports.append(_load_file(ingest, file, own, progress))
            on_report(reports[-1])
    return reports


def _load_file(ingest: _Ingest, file: FeedFile, landing: Path | None, progress: ProgressCallback) -> LoadReport:
    source = str(file.path if landing is None else file.path.relative_to(landing.parent))
    source = ingest.personal_data.pseudonyms.replace(source, {})
    checksum = ""
    try:
        checksum = _checksum(file.path)
        with refused_values():
            report = _load_content(ingest, file, source, checksum, progress)
    except OSError as error:
        return LoadReport(file.feed, source, refused=f"{error.strerror or error}")
    # Of the last two nobody thought: such a file must not keep the files after it out at every try.
    except (UnreadableFileError, RefusedValueError, ValueError, ArithmeticError) as error:
        reason = ingest.personal_data.pseudonyms.replace(f"{error}" or type(error).__name__, {})
        if landing is not None:
            move_to_failed(landing, file, checksum, reason)
        return LoadReport(file.feed, source, refused=reason)
    if landing is not None:
        move_to_done(landing, file, checksum)
    return report


def _load_content(
    ingest: _Ingest, file: FeedFile, source: str, checksum: str, progress: ProgressCallback
) -> LoadReport:
    feed = FEEDS[file.feed]
    before = _State.of(file.path)
    with ingest.warehouse.connect(APPLICATION_NAME) as connection:
        ledger.lock_feed(connection, feed.name)
        known = ledger.find_load(connection, feed.name, checksum)
        if known is not None:
            return LoadReport(feed.name, source, records_read=known.records_read, duplicate=known.records_read)
        open_load = OpenLoad(connection, ingest.personal_data, feed, source, checksum)
        position = 0

        def advance(bytes_read: int) -> None:
            nonlocal position
            position = bytes_read

        batches = _checked(ingest.validator(feed), read(file.path, feed, advance))
        # Closed before the connection is: a write that is under way must not meet a rollback.
        with closing(_piped(open_load.write, batches)) as written:
            for records in written:
                progress(Progress(file, position, before.size, records))
        if _State.of(file.path) != before:
            raise OSError("it changed while it was read")
        return open_load.close()


def _checked(validator: Validator, batches: Iterable[Batch]) -> Iterator[Checked]:
    for batch in batches:
        checked = validator.check(batch.lines, batch.sources, plain=batch.plain)
        yield replace(checked, rejected=[*checked.rejected, *batch.unreadable])


def _piped(write: Callable[[Checked], int], batches: Iterator[Checked]) -> Generator[int, None, None]:
    """What write() returns for each batch; the next batch is made ready while one is being written."""
    with ThreadPoolExecutor(1, thread_name_prefix="load") as pool:
        writing: Future[int] | None = None
        for batch in batches:
            if writing is not None:
                yield writing.result()
            writing = pool.submit(write, batch)
        if writing is not None:
            yield writing.result()


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _State(NamedTuple):
    """What changes with a file's content."""

    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "_State":
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)
