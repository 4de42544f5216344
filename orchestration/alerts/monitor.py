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


# Minutes without an answer after which people are told.
PATIENCE = timedelta(minutes=5)


def nobody(_since: datetime, _fault: str | None) -> list[str]:
    """Tells nobody of an outage."""
    return []


def monitor(
    warehouse: Warehouse,
    policy: Policy,
    stop: Event,
    tell: Callable[[str], None],
    *,
    tell_outage: Callable[[datetime, str | None], list[str]] = nobody,
    patience: timedelta = PATIENCE,
    interval: timedelta = INTERVAL,
) -> None:
    """Take samples at once, and with every full interval until stop is set. tell: what goes wrong, and that it is over.

    A minute in which the warehouse does not answer has no sample, as which it counts. tell_outage: where to tell people
    of that, once it has lasted for `patience`, and of its end; tried again with the next minute where nobody took it.
    """
    fault, since, is_told = None, None, False
    while not stop.is_set():
        now = datetime.now(UTC)
        try:
            take_samples(warehouse, policy, now, of_uptime=True)
        except (WarehouseError, DatabaseError) as error:
            now_wrong = " ".join(str(error).split())
        else:
            now_wrong = None
        if now_wrong != fault:
            tell(f"{now:%Y-%m-%d %H:%M:%S} UTC {now_wrong or 'the warehouse answers again'}")
            fault = now_wrong
        if fault is not None:
            since = since or now
            if not is_told and datetime.now(UTC) - since >= patience:
                outcomes = tell_outage(since, fault)
                is_told = any(outcome.endswith("taken") for outcome in outcomes)
                for outcome in outcomes:
                    tell(outcome)
        elif since is not None:
            if is_told:
                for outcome in tell_outage(since, None):
                    tell(outcome)
            since, is_told = None, False
        stop.wait(_until_next(datetime.now(UTC), interval).total_seconds())


def _until_next(now: datetime, interval: timedelta) -> timedelta:
    return interval - (now - datetime.min.replace(tzinfo=UTC)) % interval
