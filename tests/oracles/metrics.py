"""What samples come to in a bucket, and how much of the time the engine was up: counted one by one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDTHS = {"1m": 60, "5m": 300, "1h": 3600, "1d": 86_400}


def rollups(samples: Iterable[tuple[str, datetime, float | None]]) -> dict[tuple[str, str, datetime], dict]:
    """samples: metric, when, value. By metric, resolution and bucket: samples, without_value, avg, max, p95, p99."""
    buckets: dict[tuple[str, str, datetime], list[float | None]] = {}
    for metric, at, value in samples:
        for resolution, seconds in WIDTHS.items():
            begins = EPOCH + timedelta(seconds=int((at - EPOCH).total_seconds() // seconds) * seconds)
            buckets.setdefault((metric, resolution, begins), []).append(value)
    return {key: _figures(values) for key, values in buckets.items()}


def _figures(given: Sequence[float | None]) -> dict:
    values = sorted(value for value in given if value is not None)
    return {
        "samples": len(values),
        "without_value": len(given) - len(values),
        "avg": sum(values) / len(values) if values else None,
        "max": values[-1] if values else None,
        "p95": values[ceil(95 * len(values) / 100) - 1] if values else None,
        "p99": values[ceil(99 * len(values) / 100) - 1] if values else None,
    }


def _was_up(samples: Iterable[tuple[datetime, float | None]], now: datetime, minutes: int) -> list[bool]:
    """Of each of so many minutes before now that is over, and not before the first sample: whether it was up."""
    seen: dict[datetime, list[float | None]] = {}
    for at, value in samples:
        seen.setdefault(at.replace(second=0, microsecond=0), []).append(value)
    minute, found = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes), []
    while seen and minute < now.replace(second=0, microsecond=0):
        if minute >= min(seen):
            said = [value for value in seen.get(minute, []) if value is not None]
            found.append(bool(said) and all(value == 1 for value in said))
        minute += timedelta(minutes=1)
    return found


def uptime(samples: Iterable[tuple[datetime, float | None]], now: datetime, minutes: int) -> tuple[float, int] | None:
    """(share of minutes up, minutes counted) of those that are over. samples: when, and 1 or nothing."""
    found = _was_up(samples, now, minutes)
    return (sum(found) / len(found), len(found)) if found else None


def burn(
    samples: Sequence[tuple[datetime, float | None]], now: datetime, long: int, short: int, allowed: Fraction
) -> Fraction | None:
    """How many times the share of minutes that may be down was, in each of two windows: the lesser; None where nothing
    is known, or the last minute itself was down. allowed: that share."""
    shares = []
    for minutes in (long, short):
        found = _was_up(samples, now, minutes)
        if not found or not found[-1]:
            return None
        shares.append(Fraction(found.count(False), len(found)) / allowed)
    return min(shares)


def spent(
    samples: Iterable[tuple[datetime, float | None]], now: datetime, days: int, allowed: Fraction
) -> Fraction | None:
    """Minutes down of those of so many days, over as many as may be down in all of them."""
    found = _was_up(samples, now, days * 24 * 60)
    return Fraction(found.count(False)) / (allowed * days * 24 * 60) if found else None


def ai_success(
    jobs: Iterable[tuple[datetime, bool]],
    breaker: Sequence[tuple[str, datetime]],
    now: datetime,
    *,
    window: timedelta,
    least: int,
    floor: Fraction,
    remembered: timedelta,
) -> tuple[Fraction, int, Fraction] | None:
    """(share of fit jobs, how many, whether that is enough: 0 to 1); None without a job to tell of.

    jobs: when each ended, and whether it was fit. breaker: its states in order, and since when. remembered: how long a
    try that closed it counts.
    """
    known = [change for change in breaker if change[1] <= now]
    ended = [(at, is_fit) for at, is_fit in jobs if at <= now]
    is_closed = bool(known) and known[-1][0] == "closed"
    begins = max(now - window, known[-1][1]) if is_closed else now - window
    counted = [is_fit for at, is_fit in ended if at > begins]
    enough = min(Fraction(len(counted), least), Fraction(1))
    if is_closed and len(known) > 1 and now - known[-1][1] < remembered and len(counted) < least:
        tried = [is_fit for at, is_fit in ended if at > known[-2][1]]
        if tried:
            share = Fraction(sum(tried), len(tried))
            return share, len(tried), Fraction(1) if share >= floor else enough
    return (Fraction(sum(counted), len(counted)), len(counted), enough) if counted else None
