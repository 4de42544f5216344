"""The stretch of time that a world covers, and how arrivals spread over it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from orchestration.simulate.streams import pick
from orchestration.simulate.world import DAY, World

# Share of arrivals by hour, UTC: little at night, most in the evening.
HOURS = (1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 5, 6, 5, 5, 5, 5, 6, 7, 8, 8, 6, 4, 2)


@dataclass(frozen=True)
class Span:
    """start to until, and within it the day on which the quarter asked for begins (all in milliseconds)."""

    start: int
    quarter: int
    until: int

    @classmethod
    def of(cls, world: World, days: int, until: datetime) -> "Span":
        end = to_milliseconds(until)
        return cls(end - (days + world.history_days) * DAY, end - days * DAY, end)

    def arrivals(
        self, rng: np.random.Generator, size: int, *, growth: float, weekdays: tuple[float, ...]
    ) -> np.ndarray:
        """Draw times within the span: growing by `growth` a day, weighted by weekday (Monday first) and hour."""
        hours = np.arange(self.start // 3_600_000, -(-self.until // 3_600_000))
        day = hours // 24
        weights = np.exp(growth * (hours - hours[0]) / 24) * np.array(HOURS, dtype=float)[hours % 24]
        weights *= np.array(weekdays)[(day + 3) % 7]  # the epoch was a Thursday
        moment = hours[pick(rng, weights, size)] * 3_600_000 + (rng.random(size) * 3_600_000).astype(np.int64)
        return np.clip(moment, self.start, self.until)

    def day_numbers(self) -> np.ndarray:
        """Every calendar day (days since the epoch) that the span touches."""
        return np.arange(self.start // DAY, self.until // DAY + 1)


def to_milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"until: found {moment.isoformat()} without a time zone, expected one (UTC)")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def iso(milliseconds: int) -> str:
    """A time as text, UTC."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")


def iso_day(number: int) -> str:
    """A calendar day as text, from days since the epoch."""
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
