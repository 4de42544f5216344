"""What samples come to in a bucket, and how much of the time the engine was up: counted one by one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
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


def uptime(samples: Iterable[tuple[datetime, float | None]], now: datetime, minutes: int) -> tuple[float, int] | None:
    """(share of minutes up, minutes counted) of those that are over. samples: when, and 1 or nothing."""
    seen: dict[datetime, list[float | None]] = {}
    for at, value in samples:
        seen.setdefault(at.replace(second=0, microsecond=0), []).append(value)
    if not seen:
        return None
    minute, up, counted = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes), 0, 0
    while minute < now.replace(second=0, microsecond=0):
        if minute >= min(seen):
            counted += 1
            said = [value for value in seen.get(minute, []) if value is not None]
            up += bool(said) and all(value == 1 for value in said)
        minute += timedelta(minutes=1)
    return (up / counted, counted) if counted else None
