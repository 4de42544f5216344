"""Hands approved content to whoever sends it, and takes back what is retired: a file each, and a signed webhook. Done
twice, it changes nothing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pydantic import ValidationError

from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import content_drafts as stored
from orchestration.warehouse.files import write_whole
from orchestration.warehouse.locks import CONTENT_EXPORT, alone
from orchestration.webhooks import post_signed, wait_before

from .asking import APPLICATION
from .briefs import Brief

# Between two attempts at one draft.
FIRST, LONGEST = timedelta(minutes=1), timedelta(hours=6)
# What a receiver says of a variant that it never had, or has no more.
UNKNOWN_THERE = frozenset({"answered 404", "answered 410"})
Draft = Mapping[str, Any]
"""A row of content_drafts.draft."""


@dataclass(frozen=True)
class SendingSystem:
    """Where approved content is posted."""

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    may_be_private: bool = False


@dataclass
class Exported:
    """How many are published now, and how many are out nowhere any more."""

    published: int = 0
    withdrawn: int = 0


def export(
    warehouse: Warehouse,
    folder: Path,
    to: SendingSystem | None,
    *,
    tell: Callable[[str], None] = lambda _line: None,
) -> Exported:
    """Hand over what is approved (filed, and taken by the sending system if there is one), and take back what was
    handed over and is retired. What the sending system does not take goes again after a while under the same
    webhook-id. One process does so at a time, so that a retirement never arrives before what it retires."""
    exported = Exported()
    with (
        warehouse.connect(APPLICATION, autocommit=True) as connection,
        alone(connection, CONTENT_EXPORT) as is_ours,
    ):
        if not is_ours:
            tell("another process exports")
            return exported
        at_work = _Export(connection, folder, to, tell)
        for draft in stored.to_export(connection):
            exported.published += at_work.guarded(at_work.hand_over, draft)
        for draft in stored.to_withdraw(connection):
            exported.withdrawn += at_work.guarded(at_work.withdraw, draft)
    return exported


@dataclass(frozen=True)
class _Export:
    """One process at work. Each step says whether it was done; what was not is tried again after a while."""

    connection: Connection
    folder: Path
    to: SendingSystem | None
    tell: Callable[[str], None]

    def guarded(self, step: Callable[[Draft], bool], draft: Draft) -> bool:
        """Do a step. A draft that no folder takes, or whose brief is of an earlier version, keeps no other back."""
        try:
            return step(draft)
        except (OSError, ValidationError) as error:
            what = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            return self._put_off(draft, f"cannot be exported: {what}")

    def hand_over(self, draft: Draft) -> bool:
        """File an approved draft, and post it."""
        draft_id = draft["draft_id"]
        if Brief.model_validate(draft["brief"]).is_over(datetime.now(UTC).date()):
            stored.retire(self.connection, draft_id, author=stored.ENGINE, reason="its deadline has passed")
            self.tell(f"draft {draft_id}: its deadline has passed")
            return False
        path, payload = self._file(draft), as_json(draft)
        # People may have thought again since the list was made; from here on it is out, and they are told so.
        if not stored.begin_filing(self.connection, draft_id, str(path)):
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, payload + "\n")
        if self.to is not None and draft["sent_at"] is None:
            if not stored.is_approved(self.connection, draft_id):
                return False
            if not self._took(self.to, draft, draft["variant_id"], payload):
                return False
            stored.mark_sent(self.connection, draft_id)
        if not stored.publish_draft(self.connection, draft_id):
            return False
        self.tell(f"draft {draft_id} ({draft['variant_id']}) is published")
        return True

    def withdraw(self, draft: Draft) -> bool:
        """Delete the files of a retired draft, and tell the sending system."""
        # Where it was filed before that was noted, the usual folder is the best guess.
        paths = [Path(path) for path in draft["filed_in"] or [self._file(draft)]]
        stuck = [path for path in paths if not self._is_deleted(path)]
        # Whether or not it took the variant: its answer may have been lost.
        if self.to is not None:
            identity, payload = f"{draft['variant_id']}-retired", _retired_as_json(draft)
            if not self._took(self.to, draft, identity, payload, or_unknown=True):
                return False
        if stuck:
            return self._put_off(draft, f"{', '.join(map(str, stuck))} cannot be deleted")
        stored.mark_withdrawn(self.connection, draft["draft_id"])
        self.tell(f"draft {draft['draft_id']} ({draft['variant_id']}) is withdrawn")
        return True

    def _file(self, draft: Draft) -> Path:
        return self.folder.absolute() / f"{draft['variant_id']}.json"

    def _is_deleted(self, path: Path) -> bool:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self.tell(f"{path}: {error.strerror}")
            return False
        return True

    def _took(self, to: SendingSystem, draft: Draft, identity: str, payload: str, *, or_unknown: bool = False) -> bool:
        """Whether the sending system took a message, or, where that will do, knows nothing of its variant."""
        outcome = post_signed(to.url, identity, payload, to.secrets, may_be_private=to.may_be_private)
        if outcome.error is None or (or_unknown and outcome.error in UNKNOWN_THERE):
            return True
        wait = LONGEST if outcome.is_final else outcome.retry_after
        return self._put_off(draft, f"not taken by the sending system: {outcome.error}", wait)

    def _put_off(self, draft: Draft, error: str, asked_for: timedelta | None = None) -> bool:
        """Never done now."""
        wait = wait_before(draft["export_attempts"], FIRST, LONGEST, asked_for, Random())
        stored.put_export_off(self.connection, draft, wait, error)
        self.tell(f"draft {draft['draft_id']}: {error}")
        return False


def as_json(draft: Draft) -> str:
    """What a sending system needs; variant_id is to come back in its campaign events."""
    brief = draft["brief"]
    further = {name: draft[name] for name in ("origin", "subject", "preview", "body")}
    further |= {name: brief[name] for name in ("channel", "language", "placeholders")}
    return _told("content.approved", draft, further)


def _retired_as_json(draft: Draft) -> str:
    return _told("content.retired", draft, {"reason": draft["reason"]})


def _told(what: str, draft: Draft, further: Mapping[str, Any]) -> str:
    data = {name: draft[name] for name in ("variant_id", "kind", "subject_id")} | further
    return json.dumps({"type": what, "data": data}, sort_keys=True, ensure_ascii=False)
