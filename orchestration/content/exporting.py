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
        for draft in stored.to_export(connection):
            exported.published += _guarded(_handed_over, connection, draft, folder, to, tell)
        for draft in stored.to_withdraw(connection):
            exported.withdrawn += _guarded(_withdrawn, connection, draft, folder, to, tell)
    return exported


def _guarded(
    step: Callable[..., bool],
    connection: Connection,
    draft: Mapping[str, Any],
    folder: Path,
    to: SendingSystem | None,
    tell: Callable[[str], None],
) -> bool:
    """Whether it was done. One that no folder takes, or whose brief is of an earlier version, keeps no other back."""
    try:
        return step(connection, draft, folder, to, tell)
    except (OSError, ValidationError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        _put_off(connection, draft, f"cannot be exported: {what}", None, tell)
        return False


def _handed_over(
    connection: Connection,
    draft: Mapping[str, Any],
    folder: Path,
    to: SendingSystem | None,
    tell: Callable[[str], None],
) -> bool:
    draft_id = draft["draft_id"]
    if any(day < datetime.now(UTC).date() for day in Brief.model_validate(draft["brief"]).days):
        stored.retire(connection, draft_id, author=stored.ENGINE, reason="its deadline has passed")
        tell(f"draft {draft_id}: its deadline has passed")
        return False
    path, payload = _file(folder, draft), as_json(draft)
    # People may have thought again since the list was made; from here on it is out, and they are told so.
    if not stored.begin_filing(connection, draft_id, str(path)):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, payload + "\n")
    if to is not None and draft["sent_at"] is None:
        if not stored.is_approved(connection, draft_id):
            return False
        if not _took(connection, to, draft, draft["variant_id"], payload, tell):
            return False
        stored.mark_sent(connection, draft_id)
    if not stored.publish_draft(connection, draft_id):
        return False
    tell(f"draft {draft_id} ({draft['variant_id']}) is published")
    return True


def _withdrawn(
    connection: Connection,
    draft: Mapping[str, Any],
    folder: Path,
    to: SendingSystem | None,
    tell: Callable[[str], None],
) -> bool:
    # Where it was filed before that was noted, the usual folder is the best guess.
    paths = [Path(path) for path in draft["filed_in"] or [_file(folder, draft)]]
    stuck = [path for path in paths if not _is_deleted(path, tell)]
    # Whether or not it took the variant: its answer may have been lost.
    if to is not None:
        told = {
            "type": "content.retired",
            "data": {
                "variant_id": draft["variant_id"],
                "kind": draft["kind"],
                "subject_id": draft["subject_id"],
                "reason": draft["reason"],
            },
        }
        payload = json.dumps(told, sort_keys=True, ensure_ascii=False)
        if not _took(connection, to, draft, f"{draft['variant_id']}-retired", payload, tell, or_unknown=True):
            return False
    if stuck:
        _put_off(connection, draft, f"{', '.join(map(str, stuck))} cannot be deleted", None, tell)
        return False
    stored.mark_withdrawn(connection, draft["draft_id"])
    tell(f"draft {draft['draft_id']} ({draft['variant_id']}) is withdrawn")
    return True


def _file(folder: Path, draft: Mapping[str, Any]) -> Path:
    return folder.absolute() / f"{draft['variant_id']}.json"


def _is_deleted(path: Path, tell: Callable[[str], None]) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        tell(f"{path}: {error.strerror}")
        return False
    return True


def _took(
    connection: Connection,
    to: SendingSystem,
    draft: Mapping[str, Any],
    identity: str,
    payload: str,
    tell: Callable[[str], None],
    *,
    or_unknown: bool = False,
) -> bool:
    """Whether the sending system took a message, or, where that will do, knows nothing of its variant; else it is put
    off."""
    outcome = post_signed(to.url, identity, payload, to.secrets, may_be_private=to.may_be_private)
    if outcome.error is None or (or_unknown and outcome.error in UNKNOWN_THERE):
        return True
    wait = LONGEST if outcome.is_final else outcome.retry_after
    _put_off(connection, draft, f"not taken by the sending system: {outcome.error}", wait, tell)
    return False


def _put_off(
    connection: Connection,
    draft: Mapping[str, Any],
    error: str,
    asked_for: timedelta | None,
    tell: Callable[[str], None],
) -> None:
    wait = wait_before(draft["export_attempts"], FIRST, LONGEST, asked_for, Random())
    stored.put_export_off(connection, draft, wait, error)
    tell(f"draft {draft['draft_id']}: {error}")


def as_json(draft: Mapping[str, Any]) -> str:
    """What a sending system needs; variant_id is to come back in its campaign events."""
    brief = draft["brief"]
    told = {
        "type": "content.approved",
        "data": {
            "variant_id": draft["variant_id"],
            "kind": draft["kind"],
            "subject_id": draft["subject_id"],
            "channel": brief["channel"],
            "language": brief["language"],
            "origin": draft["origin"],
            "placeholders": brief["placeholders"],
            "subject": draft["subject"],
            "preview": draft["preview"],
            "body": draft["body"],
        },
    }
    return json.dumps(told, sort_keys=True, ensure_ascii=False)
