"""Asks for content where the marts say that there is something to write about: one brief, one job."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import content as stored
from orchestration.warehouse.content import NewBrief, Row

from .briefs import Brief, BriefError, brief_of
from .desk import LANGUAGE, Desk

APPLICATION = "marketing content"


def new_opportunities(connection: Connection, desk: Desk, now: datetime) -> list[Row]:
    """Rows of marts.content_opportunities whose subject has had no brief for content_brief_days. Only reads."""
    briefed = stored.subjects_with_briefs(connection, now - timedelta(days=desk.policy.content_brief_days))
    rows = [row for row in stored.opportunities(connection) if (row["kind"], row["subject_id"]) not in briefed]
    # Who tells a name to a model may tell a person's.
    return rows if desk.policy.content_tells_campaign_names else [row | {"subject_name": None} for row in rows]


def briefs_of(rows: Sequence[Row], desk: Desk, tell: Callable[[str], None]) -> list[tuple[Row, Brief]]:
    """Each with its brief; those that make none are told of, and left out."""
    found = []
    for row in rows:
        try:
            made = brief_of(row, link_hosts=desk.link_hosts, language=LANGUAGE, variants=desk.policy.content_variants)
        except BriefError as error:
            tell(f"no brief: {error}")
        else:
            found.append((row, made))
    return found


def ask(warehouse: Warehouse, desk: Desk, now: datetime, *, tell: Callable[[str], None] = lambda _line: None) -> int:
    """Store a brief and its job for each new opportunity, together; returns how many. Asked again, it finds none."""
    asked = 0
    since = now - timedelta(days=desk.policy.content_brief_days)
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        for row, brief in briefs_of(new_opportunities(connection, desk, now), desk, tell):
            # The same figures a month later are a brief of their own.
            key = f"{brief.key}@{row['as_of']:%Y-%m-%dT%H:%M:%S}"
            new = NewBrief(key, brief.kind, brief.subject_id, brief.model_dump(mode="json"), row["as_of"])
            with connection.transaction():
                brief_id = stored.add_brief(connection, new, since)
                if brief_id is not None:
                    _add_job(connection, desk, brief_id, brief.kind)
                    asked += 1
                    tell(f"brief {brief_id}: {brief.kind} {brief.subject_id}")
    return asked


def ask_again(warehouse: Warehouse, desk: Desk, brief_id: int) -> int | None:
    """Ask for a brief by the prompt, model and parameters in force; None where it was asked for by them before.

    Raises KeyError for a brief that there is not.
    """
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        kind = stored.brief_kind(connection, brief_id)
        if kind is None:
            raise KeyError(brief_id)
        return _add_job(connection, desk, brief_id, kind)


def _add_job(connection: Connection, desk: Desk, brief_id: int, kind: str) -> int | None:
    prompt = desk.prompts[kind]
    return stored.add_job(connection, brief_id, prompt.version, desk.model, desk.parameters, desk.parameters_sha256)
