"""A stream's lines in blocks of bounded size, and the batches that readers make of them."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from gzip import BadGzipFile
from itertools import compress
from typing import BinaryIO

from .validation import Form, Rejected, Source

BLOCK_BYTES = 8 << 20
BLOCK_LINES = 50_000
MAX_LINE_BYTES = 1 << 20
# Of a line that is longer, so much is kept in quarantine: enough to tell where it came from.
KEPT_OF_LONG_LINE = 4096
BOM = b"\xef\xbb\xbf"
# What begins an address, an escape or a quoted cell, and what COPY gives a meaning. A line's own end may be CR LF.
_NOT_PLAIN = (b"@", b"%40", b"\\", b"\t", b"\0")


class UnreadableFileError(Exception):
    """A file cannot be read to its end, or is not what its name says; nothing of it is loaded."""


@dataclass(frozen=True)
class Batch:
    """Records in file order.

    lines: their line (or row) numbers, from 1. sources: as many records, of one kind. unreadable: what holds no
    record at all. plain: all is ASCII, and no text can hold an address, a NUL or what COPY would read as an escape;
    False when that was not looked at.
    """

    lines: Sequence[int]
    sources: Sequence[Source]
    unreadable: list[Rejected] = field(default_factory=list)
    plain: bool = False


@dataclass(frozen=True)
class Block:
    """Some whole lines without their ends; numbers: theirs, from 1; plain: as in Batch, of JSON and of CSV alike."""

    numbers: Sequence[int]
    lines: list[bytes]
    unreadable: list[Rejected]
    plain: bool = False


def read_blocks(stream: BinaryIO) -> Iterator[Block]:
    """Blocks of at most BLOCK_LINES lines; a line over MAX_LINE_BYTES is passed over and reported.

    Raises UnreadableFileError for broken compression.
    """
    number = 1
    for lines, unreadable, plain in _split(stream):
        for start in range(0, len(lines), BLOCK_LINES):
            yield _block(lines[start : start + BLOCK_LINES], number + start, plain)
        number += len(lines)
        if unreadable:
            yield Block((), [], [_too_long(number, beginning) for beginning in unreadable])
            number += len(unreadable)


def _block(lines: list[bytes], first: int, plain: bool) -> Block:
    numbers = range(first, first + len(lines))
    if max(map(len, lines)) <= MAX_LINE_BYTES:
        return Block(numbers, lines, [], plain)
    fits = [len(line) <= MAX_LINE_BYTES for line in lines]
    too_long = [number for number, fit in zip(numbers, fits, strict=True) if not fit]
    unreadable = [_too_long(number, lines[number - first][:KEPT_OF_LONG_LINE]) for number in too_long]
    return Block(list(compress(numbers, fits)), list(compress(lines, fits)), unreadable, plain)


def _split(stream: BinaryIO) -> Iterator[tuple[list[bytes], list[bytes], bool]]:
    """(whole lines, beginnings of lines that are too long and end after them, whether they are plain)."""
    rest = b""
    skipping = False
    data = _beginning(stream)
    while data:
        if skipping:
            _, newline, data = data.partition(b"\n")
            skipping = not newline
        text = rest + data
        lines = text.split(b"\n")
        rest = b"" if skipping else lines.pop()
        if skipping:
            lines = []
        too_long = len(rest) > MAX_LINE_BYTES
        yield lines, [rest[:KEPT_OF_LONG_LINE]] if too_long else [], _is_plain(text)
        if too_long:
            rest, skipping = b"", True
        data = _read(stream)
    if rest:
        yield [rest], [], _is_plain(rest)


def _beginning(stream: BinaryIO) -> bytes:
    """The first block, without a byte order mark, which a stream may give in pieces."""
    data = _read(stream)
    while 0 < len(data) < len(BOM) and (more := _read(stream)):
        data += more
    return data.removeprefix(BOM) or _read(stream)


def _is_plain(text: bytes) -> bool:
    """Searched in one go, before it is split: far cheaper than in each value."""
    return text.isascii() and not any(mark in text for mark in _NOT_PLAIN)


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except (EOFError, BadGzipFile, zlib.error) as error:
        raise UnreadableFileError(f"its compression is broken or ends too early ({error})") from error


def _too_long(number: int, beginning: bytes) -> Rejected:
    reason = f"the line is longer than {MAX_LINE_BYTES} bytes, expected one record on one line; its beginning is kept"
    return Rejected(number, None, reason, beginning, Form.TEXT)
