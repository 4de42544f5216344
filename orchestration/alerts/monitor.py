"""Takes a sample of every metric each minute, for as long as the engine is up: without it nobody knows how it is.

It leans on the warehouse alone, so that it goes on measuring while Dagster does not.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

from orchestration.policy import Policy
from orchestration.warehouse import DatabaseError, Warehouse, WarehouseError

from .rounds import take_samples

# Uptime counts minutes.
INTERVAL = timedelta(minutes=1)


def monitor(warehouse: Warehouse, policy: Policy, stop: Event, tell: Callable[[str], None]) -> None:
    """Take samples at once, and with every full minute until stop is set. tell: what goes wrong, and that it is over.

    A minute in which the warehouse does not answer has no sample, as which it counts.
    """
    fault = None
    while not stop.is_set():
        try:
            take_samples(warehouse, policy, datetime.now(UTC), of_uptime=True)
        except (WarehouseError, DatabaseError) as error:
            now_wrong = " ".join(str(error).split())
        else:
            now_wrong = None
        if now_wrong != fault:
            tell(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {now_wrong or 'the warehouse answers again'}")
            fault = now_wrong
        stop.wait(_until_next(datetime.now(UTC)).total_seconds())


def _until_next(now: datetime) -> timedelta:
    return INTERVAL - timedelta(seconds=now.second, microseconds=now.microsecond)
