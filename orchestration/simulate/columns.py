"""Columns of a feed: compact arrays that become text only when a file is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import pyarrow as pa

NEVER = np.iinfo(np.int64).max
"""The time of what does not happen; written as a missing value."""


class Column(Protocol):
    """One field of many records: cut or reorder it with take, then write it out."""

    def take(self, index: np.ndarray) -> Self: ...

    def values(self) -> list[object]:
        """JSON-like values, None where missing."""
        ...

    def arrow(self) -> pa.Array:
        """The same as a typed Arrow array."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Ids:
    """prefix and a number; missing where the number is negative."""

    prefix: str
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: np.ndarray) -> "Ids":
        return Ids(self.prefix, self.numbers[index])

    def values(self) -> list[object]:
        prefix = self.prefix
        return [f"{prefix}{number}" if number >= 0 else None for number in self.numbers.tolist()]

    def arrow(self) -> pa.Array:
        return pa.array(self.values(), pa.string())


@dataclass(frozen=True)
class Words:
    """Codes into a small vocabulary, whose entries may be None."""

    vocabulary: Sequence[str | None]
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, index: np.ndarray) -> "Words":
        return Words(self.vocabulary, self.codes[index])

    def values(self) -> list[object]:
        return [self.vocabulary[code] for code in self.codes.tolist()]

    def arrow(self) -> pa.Array:
        return pa.array(self.values(), pa.string())


@dataclass(frozen=True)
class Integers:
    """Whole numbers; missing where `missing` is true."""

    numbers: np.ndarray
    missing: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: np.ndarray) -> "Integers":
        return Integers(self.numbers[index], None if self.missing is None else self.missing[index])

    def values(self) -> list[object]:
        found = self.numbers.tolist()
        if self.missing is None:
            return found
        return [None if absent else number for number, absent in zip(found, self.missing.tolist(), strict=True)]

    def arrow(self) -> pa.Array:
        return pa.array(self.numbers, pa.int64(), mask=self.missing)


@dataclass(frozen=True)
class Decimals:
    """Numbers with a fixed count of decimals."""

    numbers: np.ndarray
    places: int

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: np.ndarray) -> "Decimals":
        return Decimals(self.numbers[index], self.places)

    def values(self) -> list[object]:
        return [round(number, self.places) for number in self.numbers.tolist()]

    def arrow(self) -> pa.Array:
        return pa.array(self.values(), pa.float64())


@dataclass(frozen=True)
class Times:
    """Milliseconds since the epoch, written in ISO 8601, UTC; missing where NEVER."""

    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: np.ndarray) -> "Times":
        return Times(self.numbers[index])

    def values(self) -> list[object]:
        absent = self.numbers == NEVER
        moments = np.where(absent, 0, self.numbers).astype("datetime64[ms]")
        texts = np.char.add(np.datetime_as_string(moments), "Z").tolist()
        if not absent.any():
            return texts
        return [None if missing else text for text, missing in zip(texts, absent.tolist(), strict=True)]

    def arrow(self) -> pa.Array:
        absent = self.numbers == NEVER
        return pa.array(np.where(absent, 0, self.numbers), pa.timestamp("ms", tz="UTC"), mask=absent)


@dataclass(frozen=True)
class Days:
    """Days since the epoch, written as a calendar date."""

    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: np.ndarray) -> "Days":
        return Days(self.numbers[index])

    def values(self) -> list[object]:
        return np.datetime_as_string(self.numbers.astype("datetime64[D]")).tolist()

    def arrow(self) -> pa.Array:
        return pa.array(self.numbers.astype("int32"), pa.date32())


@dataclass(frozen=True)
class Texts:
    """Ready text, None where missing; for small feeds and rare values."""

    texts: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, index: np.ndarray) -> "Texts":
        return Texts(self.texts[index])

    def values(self) -> list[object]:
        return self.texts.tolist()

    def arrow(self) -> pa.Array:
        return pa.array(self.texts.tolist(), pa.string())
