"""Hands approved content to whoever sends it, and takes back what is retired: a file each, and a signed webhook. Done
twice, it changes nothing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import content_drafts as stored
from orchestration.warehouse.files import write_whole
from orchestration.warehouse.locks import CONTENT_EXPORT, alone
from orchestration.webhooks import post_signed, wait_before

from .asking import APPLICATION
from .briefs import Brief

# Between two attempts at one draft.
FIRST, LONGEST = timedelta(minutes=1), timedelta(hours=6)


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
            exported.published += _handed_over(connection, draft, folder, to, tell)
        for draft in stored.to_withdraw(connection):
            exported.withdrawn += _withdrawn(connection, draft, folder, to, tell)
    return exported


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
    for path in draft["filed_in"] or [_file(folder, draft)]:
        Path(path).unlink(missing_ok=True)
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
        if not _took(connection, to, draft, f"{draft['variant_id']}-retired", payload, tell):
            return False
    stored.mark_withdrawn(connection, draft["draft_id"])
    tell(f"draft {draft['draft_id']} ({draft['variant_id']}) is withdrawn")
    return True


def _file(folder: Path, draft: Mapping[str, Any]) -> Path:
    return folder.absolute() / f"{draft['variant_id']}.json"


def _took(
    connection: Connection,
    to: SendingSystem,
    draft: Mapping[str, Any],
    identity: str,
    payload: str,
    tell: Callable[[str], None],
) -> bool:
    """Whether the sending system took a message; else it is put off."""
    outcome = post_signed(to.url, identity, payload, to.secrets, may_be_private=to.may_be_private)
    if outcome.error is None:
        return True
    wait = wait_before(draft["export_attempts"], FIRST, LONGEST, outcome.retry_after, Random())
    error = f"not taken by the sending system: {outcome.error}"
    stored.put_export_off(connection, draft["draft_id"], LONGEST if outcome.is_final else wait, error)
    tell(f"draft {draft['draft_id']}: {error}")
    return False


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
