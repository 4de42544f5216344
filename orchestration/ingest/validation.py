"""Batches of records checked against their feed's contract, in columns ready for the raw table. Pure.

Clean records take the decoder's fast way; whatever it refuses, or a look at whole columns makes doubtful, is
examined once more, field by field. Both ways accept the same records.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from itertools import repeat

import msgspec

from .examination import MAX_NESTING, Examiner, Pseudonymiser, RejectedError, Source, without_end_zeros
from .records import Feed, Record, channel_name, fits_index


class Form(StrEnum):
    """What the bytes of a quarantined record are: a line of JSON, fields as JSON, or text that is no record."""

    JSON = "J"
    FIELDS = "F"
    TEXT = "T"


@dataclass(frozen=True)
class Rejected:
    """A record for quarantine. line: in its file, from 1; field: None where the whole record is at fault."""

    line: int
    field: str | None
    reason: str
    source: bytes
    form: Form


@dataclass(frozen=True)
class Checked:
    """A batch after its checks.

    columns: those of the raw table without load_id, each with `count` values, in line order. addresses:
    pseudonym → address of all that were met. earliest_at, latest_at: span of the records' own times. plain: no text
    in the columns holds what COPY would read as an escape; False when that was not looked at.
    """

    columns: dict[str, Sequence[object]]
    count: int
    rejected: list[Rejected]
    addresses: dict[str, str]
    earliest_at: datetime | None = None
    latest_at: datetime | None = None
    plain: bool = False


class Validator:
    """Checks batches of one feed; the arguments are Examiner's."""

    def __init__(
        self, feed: Feed, pseudonyms: Pseudonymiser, *, now: datetime, frozen_before: date | None = None
    ) -> None:
        self.feed = feed
        self._pseudonyms = pseudonyms
        self._examiner = Examiner(feed, pseudonyms, now=now, frozen_before=frozen_before)
        self._decode = msgspec.json.Decoder(feed.record).decode
        self._known = msgspec.defstruct(
            "Known", [], bases=(feed.record,), kw_only=True, forbid_unknown_fields=False, gc=False
        )
        self._decode_known = msgspec.json.Decoder(self._known).decode
        self._bounds = {name: self._examiner.bounds(name) for name in feed.times}

    def check(self, lines: Sequence[int], sources: Sequence[Source], *, plain: bool = False) -> Checked:
        """Check records, all of one kind of source. No record makes this raise.

        lines: their line numbers. plain: all is ASCII without addresses, NULs and escapes (lines.Batch).
        """
        batch = _Batch(lines, sources, plain)
        records, positions = self._decoded(batch)
        columns = self._columns_of(records)
        if doubtful := self._doubtful(columns, plain):
            for row in doubtful:
                records[row] = self._examined(batch, positions[row])
            positions = [position for position, record in zip(positions, records, strict=True) if record is not None]
            columns = self._columns_of([record for record in records if record is not None])
        return self._checked(batch, columns, positions)

    def _decoded(self, batch: "_Batch") -> tuple[list[Record | None], Sequence[int]]:
        """The records that passed, and their positions in the batch."""
        records: list[Record | None] = []
        refused: set[int] = set()
        texts = bool(batch.sources) and isinstance(batch.sources[0], bytes)
        strict = decode = self._decode if texts else self._convert

        def with_extra(source: Source) -> Record:
            """The fast way for records with extra fields."""
            record = self._decode_known(source) if texts else msgspec.convert(source, self._known)
            properties = self._properties(msgspec.json.decode(source) if texts else source)
            if properties is not None:
                batch.properties[len(records) + len(refused)] = properties
            return record

        append = records.append
        waiting = iter(batch.sources)
        while len(records) + len(refused) < len(batch.sources):
            try:
                for source in waiting:
                    append(decode(source))
            except _UNDECODED:
                position = len(records) + len(refused)
                if decode is strict:
                    # Extra fields come in most of a sender's records or in none: go on with the way that takes them.
                    decode = with_extra
                    waiting = iter(batch.sources[position:])
                    continue
                record = self._examined(batch, position)
                if record is None:
                    refused.add(position)
                else:
                    append(record)
        if not refused:
            return records, range(len(records))
        return records, [position for position in range(len(batch.sources)) if position not in refused]

    def _convert(self, source: Source) -> Record:
        return msgspec.convert(source, self.feed.record)

    def _properties(self, given: Mapping[str, object]) -> str | None:
        """The extra fields as JSON. Raises _NeedsCareError where the exact way must look."""
        fields = self.feed.fields
        extra = {name: value for name, value in given.items() if name not in fields}
        if not extra:
            return None
        properties = _encode_sorted(extra).decode()
        if _extra_needs_care(properties):
            raise _NeedsCareError
        return properties

    def _examined(self, batch: "_Batch", position: int) -> Record | None:
        """The record at a position by the exact way, or None, its faults noted."""
        source = batch.sources[position]
        addresses: dict[str, str] = {}
        try:
            record, properties = self._examiner.examine(source, addresses)
        except RejectedError as error:
            form = Form.JSON if isinstance(source, bytes) else Form.FIELDS
            text = source if isinstance(source, bytes) else msgspec.json.encode(source)
            batch.rejected.append(Rejected(batch.lines[position], error.field, str(error), text, form))
            return None
        batch.addresses.update(addresses)
        if properties is not None:
            batch.properties[position] = properties
        return record

    def _columns_of(self, records: Sequence[Record | None]) -> dict[str, list]:
        return {name: [getattr(record, name) for record in records] for name in self.feed.fields}

    def _doubtful(self, columns: dict[str, list], plain: bool) -> list[int]:
        """Rows that the decoder let pass, and that a rule over values or over two fields may refuse or change."""
        rows: set[int] = set()
        for name in () if plain else self.feed.texts:
            present = "".join(filter(None, columns[name]))
            if "@" in present or "%40" in present or "\0" in present:
                rows.update(row for row, text in enumerate(columns[name]) if text and _needs_care(text))
            # The decoder has limited the characters: of ASCII, these are the bytes.
            if self.feed.fields[name].is_indexed and not present.isascii():
                final = channel_name if name == "channel" else str
                rows.update(row for row, text in enumerate(columns[name]) if text and not fits_index(final(text)))
        for name, (earliest, latest) in self._bounds.items():
            present = [value for value in columns[name] if value is not None]
            if present and (min(present) < earliest or max(present) > latest):
                rows.update(
                    row
                    for row, value in enumerate(columns[name])
                    if value is not None and not earliest <= value <= latest
                )
        if self.feed.one_of:
            choices = zip(*(columns[name] for name in self.feed.one_of), strict=True)
            rows.update(row for row, values in enumerate(choices) if not any(values))
        if self.feed.address is not None:
            of = self._pseudonyms.of
            rows.update(row for row, address in enumerate(columns[self.feed.address]) if of(address) is None)
        if "rate" in columns:
            rows.update(range(len(columns["rate"])))
        return sorted(rows)

    def _checked(self, batch: "_Batch", columns: dict[str, list], positions: Sequence[int]) -> Checked:
        count = len(positions)
        raw: dict[str, Sequence[object]] = {}
        for name, values in columns.items():
            if name == self.feed.address:
                raw.update(self._address_columns(values, batch.addresses))
            elif name == "channel":
                names = {text: channel_name(text) for text in set(values)}
                raw[name] = list(map(names.__getitem__, values))
            else:
                raw[name] = values
        kept = batch.properties
        raw["properties"] = [kept.get(position) for position in positions] if kept else list(repeat(None, count))
        if self.feed.versioned:
            raw["record_sha256"] = _hashes(self.feed, raw)
        earliest_at, latest_at = _span([columns[name] for name in self.feed.own_times])
        rejected = sorted(batch.rejected, key=_line)
        return Checked(raw, count, rejected, batch.addresses, earliest_at, latest_at, batch.plain)

    def _address_columns(self, values: list[str], addresses: dict[str, str]) -> dict[str, Sequence[object]]:
        key_column, mailbox_column = self.feed.address_keys
        pairs = [self._pseudonyms.of(address) for address in values]
        keys = [pair[0] for pair in pairs]
        addresses.update(zip(keys, (address.strip().lower() for address in values), strict=True))
        columns: dict[str, Sequence[object]] = {
            key_column: keys,
            mailbox_column: [pair[1] for pair in pairs],
            "key_version": [self._pseudonyms.version] * len(keys),
        }
        if self.feed.verdict is not None:
            columns[self.feed.verdict] = list(map(self._pseudonyms.is_disposable, values))
        return columns


class _NeedsCareError(Exception):
    pass


# How the fast ways say that a record is not for them.
_UNDECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _NeedsCareError)
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class _Batch:
    """What accumulates while one batch is checked. properties: JSON by position."""

    def __init__(self, lines: Sequence[int], sources: Sequence[Source], plain: bool) -> None:
        self.lines = lines
        self.sources = sources
        self.plain = plain
        self.rejected: list[Rejected] = []
        self.addresses: dict[str, str] = {}
        self.properties: dict[int, str] = {}


def _line(rejected: Rejected) -> int:
    return rejected.line


def _needs_care(text: str) -> bool:
    return "@" in text or "%40" in text or "\0" in text


def _extra_needs_care(properties: str) -> bool:
    """Whether extra fields, as JSON, hold what must be replaced, left out, taken apart or refused."""
    return (
        "@" in properties
        or "%40" in properties
        or '""' in properties
        or "null" in properties
        or "u0000" in properties
        or '"properties":' in properties
        or properties.count("{") + properties.count("[") > MAX_NESTING
    )


def _hashes(feed: Feed, raw: dict[str, Sequence[object]]) -> list[bytes]:
    """SHA-256 of each record in its canonical form: JSON with sorted names, UTC times, no nulls, pseudonyms only."""
    names = [name for name in raw if name not in ("key_version", *feed.address_keys[1:], feed.verdict)]
    hashes = []
    for values in zip(*(raw[name] for name in names), strict=True):
        record = {name: _canonical(value) for name, value in zip(names, values, strict=True) if value is not None}
        if "properties" in record:
            record["properties"] = msgspec.json.decode(record["properties"])
        hashes.append(hashlib.sha256(_encode_sorted(record)).digest())
    return hashes


def _canonical(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, Decimal):
        return format(without_end_zeros(value), "f")
    return value


def _span(columns: Sequence[Sequence[date | None]]) -> tuple[datetime | None, datetime | None]:
    """The least and the greatest of the records' own times, a record's being the greatest it carries."""
    first, *others = columns
    own: Iterable[datetime] = first
    if others:
        own = [max(_instant(v) for v in values if v is not None) for values in zip(*columns, strict=True)]
    times = list(own)
    return (min(times), max(times)) if times else (None, None)


def _instant(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time(), tzinfo=UTC)
