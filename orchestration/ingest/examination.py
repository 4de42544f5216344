"""One record, field by field: what is wrong with it and what would be right. Pure.

The exact way of validation.py, for records that its fast way refuses: extra fields, text that holds an address,
values that need to be brought into form, and everything that breaks the contract.
"""

import math
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Protocol

import msgspec

from .records import Currency, Feed, Field, Record, channel_name, fits_index

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
# A year short of what datetime holds, so that every accepted time can be said in any zone.
LATEST = datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(days=1)
MAX_NESTING = 32
SHOWN_CHARACTERS = 40
RATE_LIMIT = Decimal(10) ** 12
RATE_DECIMALS = 18

# A record as a reader delivers it: the text of a JSON object, or its fields.
Source = bytes | Mapping[str, object]

# The default context rounds to 28 digits and lets the smallest numbers underflow to 0.
_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)
_WHOLE = re.compile(r"-?\d{1,19}(?:\.0*)?")


class Pseudonymiser(Protocol):
    """What ingest needs of privacy.pseudonyms.Pseudonyms."""

    version: int

    def of(self, address: str) -> tuple[str, str] | None:
        """(key, mailbox key) of an address, None when it is none."""

    def is_disposable(self, address: str) -> bool:
        """Whether an address lies in a domain of throw-away mailboxes."""

    def replace(self, text: str, found: MutableMapping[str, str]) -> str:
        """The text without addresses; found gets key → address."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a record; field: None when it concerns the whole."""

    field: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}" if self.field else self.text


class RejectedError(Exception):
    """A record breaks its contract; faults: all that is wrong, never repeating an address."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults

    @property
    def field(self) -> str | None:
        """The first field at fault."""
        return next((fault.field for fault in self.faults if fault.field), None)


class Examiner:
    """Examines records of one feed.

    now: the real clock; a record's own times may lie at most a day after it. frozen_before: facts of days
    before it come too late; None when nothing is frozen.
    """

    def __init__(
        self, feed: Feed, pseudonyms: Pseudonymiser, *, now: datetime, frozen_before: date | None = None
    ) -> None:
        self._feed = feed
        self._pseudonyms = pseudonyms
        self._latest = now + CLOCK_TOLERANCE
        self._frozen_before = frozen_before
        self._names = frozenset(feed.fields)

    def bounds(self, name: str) -> tuple[date, date]:
        """The earliest and the latest value of a field that is a time or a day."""
        field = self._feed.fields[name]
        earliest = EARLIEST
        if name == self._feed.frozen_by and self._frozen_before is not None:
            earliest = datetime.combine(self._frozen_before, time(), tzinfo=UTC)
        latest = min(self._latest, LATEST) if name in self._feed.own_times else LATEST
        if field.kind is date:
            return earliest.date(), latest.astimezone(UTC).date()
        return earliest, latest

    def examine(self, source: Source, found: MutableMapping[str, str]) -> tuple[Record, str | None]:
        """The record and its extra fields as JSON (None without any); found gets pseudonym → address.

        Raises RejectedError.
        """
        given = _object(source) if isinstance(source, bytes) else source
        faults: list[Fault] = []
        values, extra = self._divide(given, found, faults)
        unkeepable = {fault.field for fault in faults}
        for name, field in self._feed.fields.items():
            if name in values:
                self._check(field, values, faults)
            elif field.required and name not in unkeepable:
                faults.append(Fault(name, f"missing, expected {field.expected}"))
        one_of = self._feed.one_of
        if one_of and not any(name in values or name in unkeepable for name in one_of):
            faults.append(Fault(one_of[0], f"missing, expected at least one of {', '.join(one_of)}"))
        if faults:
            raise RejectedError(*faults)
        return self._feed.record(**values), msgspec.json.encode(extra, order="sorted").decode() if extra else None

    def _divide(
        self, given: Mapping[str, object], found: MutableMapping[str, str], faults: list[Fault]
    ) -> tuple[dict[str, object], dict[str, object]]:
        """The contract's fields and the others, without addresses; null and empty text count as absent."""
        values: dict[str, object] = {}
        extra: dict[str, object] = {}
        for name, value in given.items():
            if value is None or value == "":
                continue
            try:
                if name == self._feed.address:
                    values[name] = value
                elif name in self._names:
                    values[name] = self._cleaned(value, found)
                elif name == "properties" and isinstance(value, dict):
                    _add(extra, self._cleaned(value, found))
                else:
                    _add(extra, {self._cleaned(name, found): self._cleaned(value, found)})
            except _UnkeepableError as error:
                faults.append(Fault(name if name in self._names else "properties", str(error)))
        return values, extra

    def _cleaned(self, value: object, found: MutableMapping[str, str], depth: int = 0) -> object:
        """The value with every address in it replaced. Raises _UnkeepableError for what PostgreSQL cannot keep."""
        if isinstance(value, str):
            if "\0" in value:
                raise _UnkeepableError("holds a NUL character, which no text can keep; remove it")
            return self._pseudonyms.replace(value, found)
        if isinstance(value, float) and not math.isfinite(value):
            raise _UnkeepableError(f"found {value}, expected a finite number")
        if depth > MAX_NESTING:
            raise _UnkeepableError(f"nested more than {MAX_NESTING} levels deep")
        if isinstance(value, Mapping):
            return {self._cleaned(str(k), found): self._cleaned(v, found, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(item, found, depth + 1) for item in value]
        return value

    def _check(self, field: Field, values: dict[str, object], faults: list[Fault]) -> None:
        """Bring one value into form and check it; faults gets what is wrong."""
        value = _in_form(field, values[field.name])
        if field.name == self._feed.address and not (isinstance(value, str) and self._pseudonyms.of(value)):
            faults.append(Fault(field.name, f"found {_kind_of(value)} (not shown), expected {field.expected}"))
            return
        try:
            value = msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            faults.append(Fault(field.name, f"found {_shown(field, value)}, expected {field.expected}"))
            return
        values[field.name] = value
        # After addresses were replaced and a channel was named: both can lengthen a text.
        if field.is_indexed and not fits_index(value):
            faults.append(Fault(field.name, f"found {_shown(field, value)}, expected {field.expected}"))
        elif isinstance(value, Decimal):
            if _is_rate(value):
                # PostgreSQL counts zeros at the end too, and has a limit.
                values[field.name] = without_end_zeros(value)
            else:
                faults.append(Fault(field.name, f"found {value:.20g}, expected {field.expected}"))
        elif isinstance(value, date):
            self._check_time(field, value, faults)

    def _check_time(self, field: Field, value: date, faults: list[Fault]) -> None:
        earliest, latest = self.bounds(field.name)
        unit = "day" if field.kind is date else "time"
        if value > latest and field.name not in self._feed.own_times:
            faults.append(Fault(field.name, f"found {value}, expected a {unit} before the year 9999 in UTC"))
        elif value > latest:
            faults.append(
                Fault(
                    field.name,
                    f"found {value}, expected a {unit} not more than a day ahead of the clock: mend the sender's "
                    "clock, or requeue when the time has come",
                )
            )
        elif value < earliest:
            frozen = field.name == self._feed.frozen_by and self._frozen_before is not None
            faults.append(
                Fault(field.name, f"too_late: found {value}, but days before {self._frozen_before} are frozen")
                if frozen
                else Fault(field.name, f"found {value}, expected {field.expected}")
            )


class _UnkeepableError(ValueError):
    pass


def _object(line: bytes) -> dict[str, object]:
    try:
        given = msgspec.json.decode(line)
    except RecursionError:
        raise RejectedError(Fault(None, "nested too deep to be read, expected a flat JSON object")) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise RejectedError(Fault(None, f"not readable as JSON ({what}), expected one object on one line")) from None
    if not isinstance(given, dict):
        raise RejectedError(Fault(None, f"found {_kind_of(given)}, expected one JSON object"))
    return given


def _add(extra: dict[str, object], more: Mapping[str, object]) -> None:
    if extra.keys() & more.keys():
        raise _UnkeepableError("the same extra field stands in the record and in its properties; keep one")
    extra.update(more)


def _in_form(field: Field, value: object) -> object:
    """The value as the contract wants it where only its form differs."""
    if field.name == "channel" and isinstance(value, str):
        return channel_name(value)
    if field.type is Currency and isinstance(value, str):
        return value.strip().upper()
    if field.kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if field.kind is date and isinstance(value, datetime) and value.time() == time():
        return value.date()
    return value


def whole_number(cell: str) -> int | str:
    """A CSV cell's text as an integer where it spells one (100, or 100.0 as some tools write), else the text."""
    return int(cell.partition(".")[0]) if _WHOLE.fullmatch(cell) else cell


def _is_rate(value: Decimal) -> bool:
    if not value.is_finite() or not 0 < value < RATE_LIMIT:
        return False
    exponent = without_end_zeros(value).as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -RATE_DECIMALS


def without_end_zeros(value: Decimal) -> Decimal:
    """The same finite number in its shortest form, exactly, however many digits it has."""
    return _EXACT.normalize(value)


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", str: "text", dict: "an object", list: "a list", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def _shown(field: Field, value: object) -> str:
    """What was found, in words; text is shown only where the contract lists or spells values, never with an @."""
    if isinstance(value, bool | int | float | datetime | date | Decimal):
        naive = isinstance(value, datetime) and value.tzinfo is None
        return f"{value}"[:SHOWN_CHARACTERS].lower() + (" without an offset" if naive else "")
    if not isinstance(value, str):
        return _kind_of(value)
    if field.kind is str and field.type is not Currency:
        return f"text of {len(value.encode())} bytes" if field.is_indexed else f"text of {len(value)} characters"
    if "@" in value or "%40" in value or "email:" in value:
        return "text that holds an address (not shown)"
    return f'"{value[:SHOWN_CHARACTERS]}"' + ("…" if len(value) > SHOWN_CHARACTERS else "")
