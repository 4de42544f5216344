"""Takes a sample of every metric each minute, for as long as the engine is up: without it nobody knows how it is.

It leans on the warehouse alone, so that it goes on measuring while Dagster does not, and lets outage.py watch those who
judge what it measures.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from orchestration.policy import Policy
from orchestration.warehouse import DatabaseError, Warehouse, WarehouseError

from .rounds import take_samples

# Uptime counts minutes.
INTERVAL = timedelta(minutes=1)


def unwatched(_now: datetime, _fault: str | None) -> None:
    """Watches nobody, and tells nobody."""


def monitor(
    warehouse: Warehouse,
    policy: Policy,
    stop: Event,
    tell: Callable[[str], None],
    *,
    watch: Callable[[datetime, str | None], None] = unwatched,
    interval: timedelta = INTERVAL,
) -> None:
    """Take samples at once, and with every full interval until stop is set. tell: what goes wrong, and that it is over.

    A minute in which the warehouse does not answer has no sample, as which it counts. watch: told of each minute, with
    the kind of error where there is one (outage.Watch); in a thread of its own and for one minute at a time, so that
    no receiver, however slow, costs a sample.
    """
    fault, watching = None, None
    while not stop.is_set():
        now = datetime.now(UTC)
        try:
            take_samples(warehouse, policy, now, of_uptime=True)
        except (WarehouseError, DatabaseError) as error:
            # The text may name host and user, which are nobody else's affair.
            now_wrong, kind = " ".join(str(error).split()), type(error.__cause__ or error).__name__
        else:
            now_wrong = kind = None
        if now_wrong != fault:
            tell(f"{now:%Y-%m-%d %H:%M:%S} UTC {now_wrong or 'the warehouse answers again'}")
            fault = now_wrong
        if watching is None or not watching.is_alive():
            watching = Thread(target=_watched, args=(watch, now, kind, tell), daemon=True)
            watching.start()
        stop.wait(_until_next(datetime.now(UTC), interval).total_seconds())


def _watched(
    watch: Callable[[datetime, str | None], None], now: datetime, kind: str | None, tell: Callable[[str], None]
) -> None:
    try:
        watch(now, kind)
    except Exception as error:  # noqa: BLE001 -- a watch that fails must be seen, and end no samples
        tell(f"{now:%Y-%m-%d %H:%M:%S} UTC the watch over alerts failed: {type(error).__name__}: {error}")


def _until_next(now: datetime, interval: timedelta) -> timedelta:
    return interval - (now - datetime.min.replace(tzinfo=UTC)) % interval
