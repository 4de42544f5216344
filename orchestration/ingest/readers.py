"""Feed files to batches of records, in bounded memory whatever the file's size or shape.

Formats: jsonl, csv (both also .gz) and parquet. Only a file's form is judged here; its records' content is
validation.py's. A file that cannot be read to its end, or lacks a required column, is refused whole.
"""

import gzip
from collections.abc import Callable, Iterator
from functools import partial
from itertools import compress
from pathlib import Path
from typing import BinaryIO

from .csv_rows import read_csv
from .lines import Batch, UnreadableFileError, read_blocks
from .parquet_rows import read_parquet
from .records import Feed

EXTENSIONS = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")

# Called with the bytes of the file read so far.
Progress = Callable[[int], None]


def has_known_format(path: Path) -> bool:
    """Whether the name says that this is a feed file."""
    return path.name.endswith(EXTENSIONS)


def read(path: Path, feed: Feed, progress: Progress = lambda position: None) -> Iterator[Batch]:
    """Batches of at most 50,000 records, in file order.

    Raises UnreadableFileError (also in the midst of a file), OSError.
    """
    if path.name.endswith(".parquet"):
        for batch in read_parquet(path, feed):
            yield batch
            progress(path.stat().st_size)
        return
    if not has_known_format(path):
        raise UnreadableFileError(f"its name does not end in one of {', '.join(EXTENSIONS)}")
    with path.open("rb") as file:
        stream = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        parse = partial(read_csv, feed=feed) if ".csv" in path.suffixes[-2:] else _read_jsonl
        for batch in parse(stream):
            yield batch
            progress(file.tell())


def _read_jsonl(stream: BinaryIO) -> Iterator[Batch]:
    for block in read_blocks(stream):
        numbers, lines = block.numbers, block.lines
        full = [bool(line) and not line.isspace() for line in lines]
        if not all(full):
            numbers, lines = list(compress(numbers, full)), list(compress(lines, full))
        yield Batch(numbers, lines, block.unreadable, block.plain)
