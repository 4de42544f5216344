"""Feed files: the same lines give the same bytes. Each is written under a temporary name, then renamed."""

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.simulate.calendar import Span, iso_day
from orchestration.simulate.columns import Days, Decimals, Integers, Times
from orchestration.simulate.dirt import BAD_WORD, BROKEN, MISSING, WHOLE, WRONG_TYPE, Lines
from orchestration.simulate.feeds import Feed
from orchestration.simulate.world import DAY

FORMATS = {
    "campaigns": "jsonl",
    "users": "jsonl",
    "identities": "csv.gz",
    "touchpoints": "jsonl",
    "conversions": "csv",
    "refunds": "jsonl",
    "exchange_rates": "csv",
    "ad_spend": "csv",
    "campaign_events": "parquet",
    "viral_actions": "jsonl",
    "integration_events": "jsonl.gz",
    "attribution_truth": "csv.gz",
}
NOT_A_VALUE = "as soon as possible"
NOT_A_CHOICE = "teleported"
BLOCK = 32_768
"""Lines that are in memory as text at a time."""


def write_lines(out: Path, lines: Lines, span: Span, file_days: int) -> Iterator[Path]:
    """Write a feed's lines into files of file_days each, counted back from the end; yields their paths.

    A file's lines stand in order of arrival. Memory is bounded by BLOCK lines, whatever a file's size.
    """
    name = lines.feed.name
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    step = file_days * DAY
    oldest = max(-(-(span.until - span.start) // step) - 1, 0)
    age = np.clip((span.until - lines.arrives) // step, 0, oldest)
    for back in np.unique(age)[::-1].tolist():
        begins = max(span.until - (back + 1) * step, span.start)
        path = folder / f"{iso_day(begins // DAY)}.{FORMATS[name]}"
        part = path.with_name(path.name + ".part")
        _write_blocks(part, FORMATS[name], _blocks(lines, np.flatnonzero(age == back)))
        part.replace(path)
        yield path


def write_json(path: Path, content: object) -> None:
    """Write a JSON document for people to read; no reader ever sees half of it."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    part.replace(path)


def _blocks(lines: Lines, places: np.ndarray) -> Iterator[tuple[Feed, np.ndarray]]:
    """The records and damages of the lines at places, BLOCK of them at a time."""
    for start in range(0, len(places), BLOCK):
        here = places[start : start + BLOCK]
        yield lines.feed.take(lines.record[here]), lines.damage[here]


def _write_blocks(path: Path, form: str, blocks: Iterator[tuple[Feed, np.ndarray]]) -> None:
    if form == "parquet":
        _write_parquet(path, blocks)
        return
    with path.open("wb") as file, _compressed(file, form) as stream:
        for number, (feed, damage) in enumerate(blocks):
            stream.write(_csv(feed, damage, header=number == 0) if form.startswith("csv") else _jsonl(feed, damage))


def _compressed(file: BinaryIO, form: str) -> AbstractContextManager[BinaryIO]:
    """The file, or a compressor in front of it that puts neither name nor time into its header."""
    if form.endswith(".gz"):
        return gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0)
    return nullcontext(file)


def _jsonl(feed: Feed, damage: np.ndarray) -> bytes:
    names = tuple(feed.columns)
    rows = zip(*_spoiled_values(feed, damage).values(), strict=True)
    dumps = orjson.dumps
    lines = [dumps({name: value for name, value in zip(names, row, strict=True) if value is not None}) for row in rows]
    for place in np.flatnonzero(damage == BROKEN).tolist():
        lines[place] = lines[place][: len(lines[place]) * 2 // 3]
    lines.append(b"")
    return b"\n".join(lines)


def _csv(feed: Feed, damage: np.ndarray, *, header: bool) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    if header:
        writer.writerow(feed.columns)
    # A broken line of CSV cannot be told from a short one: it lacks a field instead.
    damage = np.where(damage == BROKEN, MISSING, damage)
    writer.writerows(zip(*_spoiled_values(feed, damage).values(), strict=True))
    return target.getvalue().encode()


def _write_parquet(path: Path, blocks: Iterator[tuple[Feed, np.ndarray]]) -> None:
    with ExitStack() as stack:
        writer = None
        for feed, damage in blocks:
            table = _table(feed, damage)
            writer = writer or stack.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd"))
            writer.write_table(table)


def _table(feed: Feed, damage: np.ndarray) -> pa.Table:
    # Columns are typed, so that neither a broken line nor a wrong type can occur.
    damage = np.where((damage == BROKEN) | (damage == WRONG_TYPE), MISSING, damage)
    arrays = {name: column.arrow() for name, column in feed.columns.items()}
    for name, changes in _damaged_fields(feed, damage).items():
        values = arrays[name].to_pylist()
        for place, value in changes:
            values[place] = value
        arrays[name] = pa.array(values, arrays[name].type)
    return pa.table(arrays)


def _spoiled_values(feed: Feed, damage: np.ndarray) -> dict[str, list[object]]:
    values = {name: column.values() for name, column in feed.columns.items()}
    for name, changes in _damaged_fields(feed, damage).items():
        for place, value in changes:
            values[name][place] = value
    return values


def _damaged_fields(feed: Feed, damage: np.ndarray) -> dict[str, list[tuple[int, object]]]:
    """For each field that is damaged anywhere: the lines, and what stands there instead."""
    typed = [name for name in feed.required if isinstance(feed.columns[name], Times | Integers | Days | Decimals)]
    changes: dict[str, list[tuple[int, object]]] = {}
    for place in np.flatnonzero((damage != WHOLE) & (damage != BROKEN)).tolist():
        kind = damage[place]
        if kind == BAD_WORD and feed.choices:
            field, value = feed.choices, NOT_A_CHOICE
        elif kind == WRONG_TYPE:
            field, value = typed[place % len(typed)], NOT_A_VALUE
        else:
            field, value = feed.required[place % len(feed.required)], None
        changes.setdefault(field, []).append((place, value))
    return changes
