"""Parquet to records: a row is a record, a column a field, null is absent; read row batch by row batch."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .lines import Batch, UnreadableFileError
from .records import Feed

BATCH_ROWS = 50_000
BATCH_BYTES = 32 << 20
READ_AHEAD_BYTES = 1 << 20


def read_parquet(path: Path, feed: Feed) -> Iterator[Batch]:
    """Batches of the feed's records. Raises UnreadableFileError for a broken file or a schema that cannot fit."""
    try:
        # Not pre-buffered: a row group may be as large as the file.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_AHEAD_BYTES) as file:
            _check_schema(file.schema_arrow, feed)
            row = 1
            for batch in file.iter_batches(batch_size=_batch_rows(file.metadata), use_threads=False):
                yield Batch(range(row, row + batch.num_rows), _records(batch))
                row += batch.num_rows
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableFileError(f"it is not readable as Parquet ({str(error).splitlines()[0]})") from error


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows at a time, so that wide ones do not fill the memory."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1)
    return int(min(BATCH_ROWS, max(100, BATCH_BYTES / max(widest, 1))))


def _check_schema(schema: pa.Schema, feed: Feed) -> None:
    problem = feed.header_problem(schema.names)
    if problem:
        raise UnreadableFileError(problem)
    for column in schema:
        field = feed.fields.get(column.name)
        if field is not None and field.kind is datetime and pa.types.is_timestamp(column.type) and not column.type.tz:
            raise UnreadableFileError(
                f"column {column.name}: found {column.type} without a time zone, expected timestamp[us, tz=UTC]"
            )


def _records(batch: pa.RecordBatch) -> list[dict[str, object]]:
    columns = [_values(column) for column in batch.columns]
    names = batch.schema.names
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[object]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        return _times(column)
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        # Tools that know no null write NaN for a missing number.
        return [None if value is not None and math.isnan(value) else value for value in values]
    return values


def _times(column: pa.TimestampArray) -> list[object]:
    """Times as aware datetimes in UTC, microseconds; without a zone as naive ones."""
    zone = UTC if column.type.tz else None
    naive = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.timestamp("us"))
    times = naive.to_numpy(zero_copy_only=False).tolist()
    return times if zone is None else [time and time.replace(tzinfo=zone) for time in times]
