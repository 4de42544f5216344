"""Asks for content where the marts say that there is something to write about: one brief, one job."""

from collections.abc import Callable
from datetime import datetime, timedelta

from orchestration.warehouse import Connection, Warehouse
from orchestration.warehouse import content as stored
from orchestration.warehouse.content import NewBrief

from .briefs import BriefError, brief_of
from .desk import LANGUAGE, Desk

APPLICATION = "marketing content"


def new_briefs(
    connection: Connection, desk: Desk, now: datetime, tell: Callable[[str], None] = lambda _line: None
) -> list[NewBrief]:
    """One for each row of marts.content_opportunities whose subject has had none for content_brief_days, and which was
    not itself asked for before. Rows that make none are told of, and left out. Only reads."""
    briefed = stored.subjects_with_briefs(connection, now - timedelta(days=desk.policy.content_brief_days))
    found = []
    for row in stored.opportunities(connection):
        if (row["kind"], row["subject_id"]) in briefed:
            continue
        # Who tells a name to a model may tell a person's.
        told = row if desk.policy.content_tells_campaign_names else row | {"subject_name": None}
        try:
            made = brief_of(told, link_hosts=desk.link_hosts, language=LANGUAGE, variants=desk.policy.content_variants)
        except BriefError as error:
            tell(f"no brief: {error}")
            continue
        # The same figures a month later are a brief of their own.
        key = f"{made.key}@{row['as_of']:%Y-%m-%dT%H:%M:%S}"
        found.append(NewBrief(key, made.kind, made.subject_id, made.model_dump(mode="json"), row["as_of"]))
    known = stored.known_briefs(connection, [one.key for one in found])
    return [one for one in found if one.key not in known]


def ask(warehouse: Warehouse, desk: Desk, now: datetime, *, tell: Callable[[str], None] = lambda _line: None) -> int:
    """Store a brief and its job for each new opportunity, together; returns how many. Asked again, it finds none."""
    asked = 0
    since = now - timedelta(days=desk.policy.content_brief_days)
    with warehouse.connect(APPLICATION, autocommit=True) as connection:
        for new in new_briefs(connection, desk, now, tell):
            with connection.transaction():
                brief_id = stored.add_brief(connection, new, since)
                if brief_id is not None:
                    _add_job(connection, desk, brief_id, new.kind)
                    asked += 1
                    tell(f"brief {brief_id}: {new.kind} {new.subject_id}")
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
