"""CSV to records: RFC 4180 with a header, UTF-8, comma; quoted fields may span lines; an empty cell is absent.

A stray quote must not swallow what follows it: a record of several lines that does not fit the header gives up its
first line to quarantine, and reading goes on with the second.
"""

import contextlib
import csv
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import BinaryIO

from .examination import whole_number
from .lines import MAX_LINE_BYTES, Batch, Block, UnreadableFileError, read_blocks
from .records import Feed
from .validation import Form, Rejected

# A quoted field that has not ended after so many lines is taken for a stray quote.
MAX_RECORD_LINES = 1000


def read_csv(stream: BinaryIO, feed: Feed) -> Iterator[Batch]:
    """Batches of the feed's records. Raises UnreadableFileError for a header without the required columns."""
    rows = _Rows(feed)
    for block in read_blocks(stream):
        yield rows.batch(block)
    yield rows.end()


class _Rows:
    """The state between blocks: the header, and lines of a record that has not ended yet."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._header: list[str] | None = None
        self._numeric: list[str] = []
        self._open: deque[tuple[int, str]] = deque()

    def batch(self, block: Block) -> Batch:
        """The records that end in this block."""
        unreadable = list(block.unreadable)
        numbers, lines = self._decoded(block, unreadable)
        if self._header is None:
            first = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
            if first < len(lines):
                self._take_header(lines[first])
            numbers, lines = numbers[first + 1 :], lines[first + 1 :]
        if not self._open and not any('"' in line for line in lines):
            # Without a quote, a line is a record: no need to look where one ends.
            with contextlib.suppress(csv.Error):
                return self._fitting(numbers, list(csv.reader(lines)), lines, unreadable, plain=block.plain)
        self._open.extend(zip(numbers, lines, strict=True))
        return self._quoted(unreadable, at_end=False)

    def end(self) -> Batch:
        """What an unclosed quote left over."""
        return self._quoted([], at_end=True)

    def _decoded(self, block: Block, unreadable: list[Rejected]) -> tuple[Sequence[int], list[str]]:
        try:
            return block.numbers, [line.decode().removesuffix("\r") for line in block.lines]
        except UnicodeDecodeError:
            numbers, lines = [], []
            for number, line in zip(block.numbers, block.lines, strict=True):
                try:
                    lines.append(line.decode().removesuffix("\r"))
                    numbers.append(number)
                except UnicodeDecodeError:
                    reason = "the line is not UTF-8 text; write the file in UTF-8"
                    unreadable.append(Rejected(number, None, reason, line, Form.TEXT))
            return numbers, lines

    def _take_header(self, line: str) -> None:
        row = _parse(line)
        if row is None:
            raise UnreadableFileError("its first line is not a CSV header")
        header = [name.strip() for name in row]
        problem = self._feed.header_problem(header)
        if problem:
            raise UnreadableFileError(problem)
        self._header = header
        self._numeric = [name for name in header if name in self._feed.fields and self._feed.fields[name].kind is int]

    def _quoted(self, unreadable: list[Rejected], *, at_end: bool) -> Batch:
        numbers: list[int] = []
        rows: list[list[str]] = []
        waiting = self._open
        while waiting:
            if not waiting[0][1].strip():
                waiting.popleft()
                continue
            parts, ended = _first_record(waiting)
            if not ended and not at_end and len(parts) < MAX_RECORD_LINES:
                break
            row = _parse("\n".join(text for _, text in parts)) if ended else None
            if row is not None and len(row) == len(self._header or ()):
                numbers.append(parts[0][0])
                rows.append(row)
                used = len(parts)
            else:
                unreadable.append(self._misfit(*parts[0], row if len(parts) == 1 else None))
                used = 1
            for _ in range(used):
                waiting.popleft()
        return self._records(numbers, rows, unreadable)

    def _fitting(
        self,
        numbers: Sequence[int],
        rows: list[list[str]],
        lines: list[str],
        unreadable: list[Rejected],
        *,
        plain: bool,
    ) -> Batch:
        width = len(self._header or ())
        fits = [len(row) == width for row in rows]
        if not all(fits):
            unreadable.extend(
                self._misfit(number, line, row)
                for number, line, row, fit in zip(numbers, lines, rows, fits, strict=True)
                if not fit and line.strip()
            )
            numbers, rows = list(compress(numbers, fits)), list(compress(rows, fits))
        return self._records(numbers, rows, unreadable, plain=plain)

    def _misfit(self, number: int, line: str, row: list[str] | None) -> Rejected:
        reason = (
            "not readable as CSV: a quote is opened or closed in the wrong place (inside a quoted cell it is written "
            "twice), or a cell is longer than 128 KiB"
            if row is None
            else f"found {len(row)} cells, expected {len(self._header or ())}, as in the header"
        )
        return Rejected(number, None, reason, line.encode(), Form.TEXT)

    def _records(
        self, numbers: Sequence[int], rows: list[list[str]], unreadable: list[Rejected], *, plain: bool = False
    ) -> Batch:
        header = self._header or []
        sources = [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]
        for name in self._numeric:
            for source in sources:
                if name in source:
                    source[name] = whole_number(source[name])
        return Batch(numbers, sources, unreadable, plain)


def _first_record(waiting: deque[tuple[int, str]]) -> tuple[list[tuple[int, str]], bool]:
    """The lines of the first record, and whether it ends there: a record holds an even number of quotes."""
    parts: list[tuple[int, str]] = []
    quotes = size = 0
    for number, text in waiting:
        parts.append((number, text))
        quotes += text.count('"')
        size += len(text)
        if quotes % 2 == 0:
            return parts, True
        if len(parts) == MAX_RECORD_LINES or size > MAX_LINE_BYTES:
            break
    return parts, False


def _parse(text: str) -> list[str] | None:
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration):
        return None
