"""What becomes of drafts of content: reviewed by people, exported, retired."""

from collections.abc import Sequence
from datetime import timedelta

import psycopg
from psycopg.types.json import Jsonb

from .content import Row
from .reads import is_published, rows


def texts_since(connection: psycopg.Connection, kind: str, draft_id: int, most: int) -> list[tuple[int, int, str]]:
    """(draft_id, job_id, all that is read of it) of the latest drafts of a model about a kind of thing that came after
    that draft, rejected ones too; oldest first."""
    found = connection.execute(
        """
        select drafts.draft_id, drafts.job_id, concat_ws(chr(10), drafts.subject, drafts.preview, drafts.body)
        from ops.content_drafts as drafts
        inner join ops.content_briefs as briefs on briefs.brief_id = drafts.brief_id
        where briefs.kind = %s and drafts.draft_id > %s and drafts.origin = 'ai'
        order by drafts.draft_id desc
        limit %s
        """,
        [kind, draft_id, most],
    )
    return found.fetchall()[::-1]


DRAFTS = """
select
    drafts.draft_id, drafts.variant_id, drafts.origin, drafts.status, drafts.subject, drafts.preview, drafts.body,
    drafts.faults, drafts.reason, drafts.reviewed_by, drafts.reviewed_at, drafts.filed_at, drafts.sent_at,
    drafts.created_at, drafts.export_attempts, drafts.filed_in, drafts.retired_at, drafts.retired_by,
    drafts.withdrawn_at, drafts.job_id,
    briefs.brief_id, briefs.kind, briefs.subject_id, briefs.brief,
    jobs.model, jobs.prompt_version, jobs.status as job_status, jobs.reason as job_reason
from ops.content_drafts as drafts
inner join ops.content_briefs as briefs on briefs.brief_id = drafts.brief_id
inner join ops.content_jobs as jobs on jobs.job_id = drafts.job_id
"""


def drafts(connection: psycopg.Connection, statuses: Sequence[str], most: int) -> list[Row]:
    """The latest drafts of these statuses, newest first."""
    return rows(
        connection,
        DRAFTS + "where drafts.status = any(%s) order by drafts.draft_id desc limit %s",
        [list(statuses), most],
    )


def draft(connection: psycopg.Connection, draft_id: int) -> Row | None:
    """One draft with its brief and job."""
    found = rows(connection, DRAFTS + "where drafts.draft_id = %s", [draft_id])
    return found[0] if found else None


def review(connection: psycopg.Connection, draft_id: int, *, status: str, author: str, reason: str | None) -> bool:
    """Approve or reject a draft that waits for it; False for any other."""
    judged = connection.execute(
        """
        update ops.content_drafts
        set status = %s, reviewed_by = %s, reviewed_at = clock_timestamp(), reason = %s
        where
            draft_id = %s
            and (status = 'pending_review' or (status = 'approved' and filed_at is null and %s = 'rejected'))
        """,
        [status, author, reason, draft_id, status],
    )
    return judged.rowcount == 1


def to_export(connection: psycopg.Connection) -> list[Row]:
    """Approved drafts that were not published yet and are due, oldest first."""
    is_due = "drafts.status = 'approved' and drafts.export_due_at <= clock_timestamp()"
    return rows(connection, f"{DRAFTS} where {is_due} order by drafts.draft_id")


def put_export_off(connection: psycopg.Connection, draft: Row, wait: timedelta, error: str) -> None:
    """It could not be handed over, or taken back: to be tried again after a while, unless people have decided otherwise
    meanwhile. draft: as it was read."""
    connection.execute(
        """
        update ops.content_drafts
        set
            export_due_at = clock_timestamp() + %s, export_attempts = export_attempts + 1,
            reason = case when status = 'approved' then %s else reason end
        where draft_id = %s and status = %s
        """,
        [wait, error, draft["draft_id"], draft["status"]],
    )


def begin_filing(connection: psycopg.Connection, draft_id: int, path: str) -> bool:
    """Note that an approved draft is about to stand in a file: from now on it is out. False where it is not approved
    any more."""
    begun = connection.execute(
        """
        update ops.content_drafts
        set
            filed_at = coalesce(filed_at, clock_timestamp()),
            filed_in = case when filed_in @> %(path)s then filed_in else filed_in || %(path)s end
        where draft_id = %(draft_id)s and status = 'approved'
        """,
        {"draft_id": draft_id, "path": Jsonb([path])},
    )
    return begun.rowcount == 1


def is_approved(connection: psycopg.Connection, draft_id: int) -> bool:
    """Whether a draft is approved still, and not yet published."""
    found = connection.execute(
        "select true from ops.content_drafts where draft_id = %s and status = 'approved'", [draft_id]
    )
    return found.fetchone() is not None


def mark_sent(connection: psycopg.Connection, draft_id: int) -> None:
    """The webhook took an approved draft."""
    connection.execute(
        "update ops.content_drafts set sent_at = coalesce(sent_at, clock_timestamp()) where draft_id = %s", [draft_id]
    )


def publish_draft(connection: psycopg.Connection, draft_id: int) -> bool:
    """An approved draft has gone wherever it goes. False where it was retired on its way."""
    published = connection.execute(
        "update ops.content_drafts set status = 'published' where draft_id = %s and status = 'approved'", [draft_id]
    )
    return published.rowcount == 1


# A brief about a campaign is answered in that campaign; one about people, wherever it is sent.
LOSERS = """
select drafts.draft_id
from ops.content_drafts as drafts
inner join ops.content_briefs as briefs on briefs.brief_id = drafts.brief_id
inner join marts.content_performance as performance
    on
        performance.variant_id = drafts.variant_id
        and (briefs.kind <> 'underperforming_campaign' or performance.campaign_id = briefs.subject_id)
where performance.verdict = 'loser' and drafts.status in ('approved', 'published')
"""


def losers(connection: psycopg.Connection) -> int:
    """How many would be retired now."""
    if not is_published(connection, "content_performance"):
        return 0
    return len(connection.execute(LOSERS).fetchall())


ENGINE = "the engine"
# What has not gone anywhere need not be taken back.
RETIRE = """
update ops.content_drafts
set
    status = 'superseded', reason = %(reason)s, export_due_at = clock_timestamp(), export_attempts = 0,
    retired_by = %(author)s,
    retired_at = case when filed_at is not null or sent_at is not null then clock_timestamp() end
where status in ('approved', 'published') and
"""


def retire_losers(connection: psycopg.Connection) -> list[str]:
    """Supersede the approved and published drafts that marts.content_performance calls losers; their variant_ids."""
    if not is_published(connection, "content_performance"):
        return []
    found = connection.execute(
        f"{RETIRE} draft_id in ({LOSERS}) returning variant_id",
        {"reason": "converts less than the control", "author": ENGINE},
    )
    return sorted(variant_id for (variant_id,) in found)


def retire(connection: psycopg.Connection, draft_id: int, *, author: str, reason: str) -> bool:
    """Supersede one that was approved or published, whatever it brings; False for any other."""
    retired = connection.execute(
        f"{RETIRE} draft_id = %(draft_id)s", {"reason": reason, "author": author, "draft_id": draft_id}
    )
    return retired.rowcount == 1


def to_withdraw(connection: psycopg.Connection) -> list[Row]:
    """Retired drafts that have gone out, and of which nobody was told yet; those that are due, oldest first."""
    is_due = "drafts.withdrawn_at is null and drafts.export_due_at <= clock_timestamp()"
    return rows(connection, f"{DRAFTS} where drafts.retired_at is not null and {is_due} order by drafts.draft_id")


def mark_withdrawn(connection: psycopg.Connection, draft_id: int) -> None:
    """Whoever has a retired draft knows."""
    connection.execute("update ops.content_drafts set withdrawn_at = clock_timestamp() where draft_id = %s", [draft_id])
