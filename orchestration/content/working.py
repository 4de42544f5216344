"""One round of content: ask for what is new, write what is due, retire what lost, hand over what is approved, take back
what is retired."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from orchestration.warehouse import Warehouse, content_drafts
from orchestration.warehouse import content as stored

from .asking import APPLICATION, ask, new_briefs
from .desk import Desk
from .draining import Drained, drain
from .exporting import Exported, SendingSystem, export


@dataclass(frozen=True)
class Work:
    """asked: new briefs; drained: how their jobs ended; retired: variants that lost; exported: variants."""

    asked: int
    drained: Drained
    retired: int
    exported: Exported

    def as_dict(self) -> dict[str, int]:
        """All of it, by name."""
        return {"briefs": self.asked, **asdict(self.drained), "retired": self.retired, **asdict(self.exported)}


def work(
    warehouse: Warehouse,
    desk: Desk,
    now: datetime,
    *,
    folder: Path,
    to: SendingSystem | None,
    most: int | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Work:
    """Killed at any point and begun again, it ends in the same drafts. most: jobs to take."""
    asked = ask(warehouse, desk, now, tell=tell)
    if desk.writer is None:
        tell(f"AI is off ({desk.off}): briefs go to the manual queue, with a template filled in")
    drained = drain(warehouse, desk, most=most, tell=tell)
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        retired = content_drafts.retire_losers(connection)
    for variant_id in retired:
        tell(f"{variant_id} converts less than the control: retired")
    exported = export(warehouse, folder, to, tell=tell)
    return Work(asked, drained, len(retired), exported)


def waits(warehouse: Warehouse, desk: Desk, now: datetime) -> str:
    """What there is to do, in words; empty when there is nothing. Only reads."""
    with warehouse.connect(APPLICATION) as connection:
        found = {
            "opportunities": len(new_briefs(connection, desk, now)),
            "jobs": stored.are_due(connection),
            "approved drafts": len(content_drafts.to_export(connection)),
            "losers": content_drafts.losers(connection),
            "retired drafts": len(content_drafts.to_withdraw(connection)),
        }
    return ", ".join(f"{many} {what}" for what, many in found.items() if many)
