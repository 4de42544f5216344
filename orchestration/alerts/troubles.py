"""[pure] What is told past the outbox, since that is what fails: when it begins and ends, and which channel knows.

A channel hears of the beginning, then of the end; each is tried again until it is taken, refused for good, or too old.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, TypeAdapter


class Trouble(StrEnum):
    """What keeps alerts from people: no warehouse, no rules that can be read, nobody who judges by them."""

    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    UNJUDGED = "unjudged"


class Fault(BaseModel):
    """What is wrong, in words for anybody (no host, no user), and since when."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    text: str


class Attempts(BaseModel):
    """To tell one channel one thing. due_at: of the next one; None: at once."""

    model_config = ConfigDict(frozen=True)

    failures: int = 0
    due_at: datetime | None = None
    is_done: bool = False


class Outage(BaseModel):
    """One of which people are told. key: by which receivers know it. begun, over: channel -> how far telling it is."""

    model_config = ConfigDict(frozen=True)

    trouble: Trouble
    key: str
    fault: Fault
    ended_at: datetime | None = None
    begun: Mapping[str, Attempts]
    over: Mapping[str, Attempts] = {}

    @property
    def is_settled(self) -> bool:
        """Over, and every channel has heard so, or never will."""
        return self.ended_at is not None and all(one.is_done for one in self.over.values())


OUTAGES = TypeAdapter(tuple[Outage, ...])


def noticed(
    outages: Iterable[Outage],
    seen: Mapping[Trouble, Fault | None],
    *,
    patience: Mapping[Trouble, timedelta],
    channels: Sequence[str],
    key: Callable[[Trouble, datetime], str],
    now: datetime,
) -> tuple[Outage, ...]:
    """Begin an outage of what has been wrong for its patience, end those of what is not wrong any more.

    seen: what is known of this moment; a trouble that is not in it stays as it is.
    """
    found = []
    for one in outages:
        if one.ended_at is None and one.trouble in seen and seen[one.trouble] is None:
            one = one.model_copy(update={"ended_at": now, "over": dict.fromkeys(one.begun, Attempts())})
        found.append(one)
    for trouble, fault in seen.items():
        is_known = any(one.trouble is trouble and one.ended_at is None for one in found)
        if fault is not None and not is_known and now - fault.since >= patience[trouble]:
            begun = dict.fromkeys(channels, Attempts())
            found.append(Outage(trouble=trouble, key=key(trouble, fault.since), fault=fault, begun=begun))
    return tuple(found)


def due(outage: Outage, now: datetime) -> list[tuple[str, bool]]:
    """The channels that are to be told now, and whether of the end, which comes after the beginning."""
    found = []
    for channel, beginning in outage.begun.items():
        is_over = beginning.is_done
        attempts = outage.over.get(channel) if is_over else beginning
        if attempts is not None and not attempts.is_done and (attempts.due_at is None or attempts.due_at <= now):
            found.append((channel, is_over))
    return found


def tried(outage: Outage, channel: str, *, is_over: bool, again_at: datetime | None, give_up: timedelta) -> Outage:
    """After a try. again_at: when the next one is due; None: it was taken, or refused for good."""
    name = "over" if is_over else "begun"
    known: Mapping[str, Attempts] = getattr(outage, name)
    told_since = outage.ended_at if is_over else outage.fault.since
    is_done = again_at is None or again_at - told_since >= give_up
    attempts = Attempts(failures=known[channel].failures + 1, due_at=again_at, is_done=is_done)
    return outage.model_copy(update={name: {**known, channel: attempts}})
