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


def export(
    warehouse: Warehouse,
    folder: Path,
    to: SendingSystem | None,
    *,
    tell: Callable[[str], None] = lambda _line: None,
) -> int:
    """Export what is approved; returns how many are published now: filed, and taken by the sending system if there is
    one. What that does not take stays approved, and goes again after a while under the same webhook-id."""
    published = 0
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        for draft in stored.to_export(connection):
            if any(day < datetime.now(UTC).date() for day in Brief.model_validate(draft["brief"]).days):
                stored.supersede(connection, draft["draft_id"], "its deadline has passed")
                tell(f"draft {draft['draft_id']}: its deadline has passed")
                continue
            payload = as_json(draft)
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(_file(folder, draft), payload + "\n")
            stored.mark_filed(connection, draft["draft_id"])
            if to is not None and draft["sent_at"] is None:
                if not _took(connection, to, draft, draft["variant_id"], payload, tell):
                    continue
                stored.mark_sent(connection, draft["draft_id"])
            stored.publish_draft(connection, draft["draft_id"])
            published += 1
            tell(f"draft {draft['draft_id']} ({draft['variant_id']}) is published")
    return published


def withdraw(
    warehouse: Warehouse,
    folder: Path,
    to: SendingSystem | None,
    *,
    tell: Callable[[str], None] = lambda _line: None,
) -> int:
    """Take back what went out and is retired: its file goes from the folder, the sending system is told under a
    webhook-id of its own. Returns how many are out nowhere any more; the others are tried again after a while."""
    withdrawn = 0
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        for draft in stored.to_withdraw(connection):
            _file(folder, draft).unlink(missing_ok=True)
            # Taken or not: an answer may have been lost.
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
                    continue
            stored.mark_withdrawn(connection, draft["draft_id"])
            withdrawn += 1
            tell(f"draft {draft['draft_id']} ({draft['variant_id']}) is withdrawn")
    return withdrawn


def _file(folder: Path, draft: Mapping[str, Any]) -> Path:
    return folder / f"{draft['variant_id']}.json"


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
