"""Content as it is made: briefs, and jobs with their drafts. Nothing here decides; see orchestration/content.

Calls that jobs make are in content_calls.py, what becomes of drafts in content_drafts.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from .locks import CONTENT, lock_in_transaction
from .reads import is_published, rows

Row = dict[str, Any]


@dataclass(frozen=True)
class NewBrief:
    """key: SHA-256 of the brief, with as_of. as_of: of the build that it is from."""

    key: str
    kind: str
    subject_id: str
    brief: Mapping[str, Any]
    as_of: datetime


@dataclass(frozen=True)
class ClaimedJob:
    """A job that is ours until its lease ends. attempts: claims, this one included. answer: text and error of an
    earlier claim's call, to judge, which was made at answered_at_attempt. calls: made so far, since a person last said
    to call again. is_uncertain: one of them may have been paid for and answered to nobody.
    """

    job_id: int
    brief_id: int
    kind: str
    subject_id: str
    brief: dict[str, Any]
    prompt_version: str
    model: str
    parameters: dict[str, Any]
    attempts: int
    created_at: datetime
    due_at: datetime
    claimed_at: datetime
    answer: dict[str, Any] | None
    calls: int
    retried_after: int
    is_uncertain: bool
    answered_at_attempt: int | None


@dataclass(frozen=True)
class NewDraft:
    """faults: why it is not fit; none: it waits for review."""

    number: int
    variant_id: str
    origin: str
    subject: str
    preview: str
    body: str
    faults: Sequence[Mapping[str, str]]


def opportunities(connection: psycopg.Connection) -> list[Row]:
    """The rows of marts.content_opportunities; none before the first publication."""
    if not is_published(connection, "content_opportunities"):
        return []
    return rows(connection, "select * from marts.content_opportunities order by kind, subject_id")


def subjects_with_briefs(connection: psycopg.Connection, since: datetime) -> set[tuple[str, str]]:
    """(kind, subject_id) of the briefs made since then."""
    found = connection.execute("select kind, subject_id from ops.content_briefs where created_at >= %s", [since])
    return {(kind, subject_id) for kind, subject_id in found}


def known_briefs(connection: psycopg.Connection, keys: Sequence[str]) -> set[str]:
    """Those of these keys whose briefs are stored, however long ago: an old build shows the same rows again."""
    found = connection.execute("select brief_key from ops.content_briefs where brief_key = any(%s)", [list(keys)])
    return {key for (key,) in found}


def add_brief(connection: psycopg.Connection, brief: NewBrief, since: datetime) -> int | None:
    """Store a brief; its number. None where its subject has had one since then, or the same brief was ever stored."""
    lock_in_transaction(connection, CONTENT)
    found = connection.execute(
        """
        insert into ops.content_briefs (brief_key, kind, subject_id, brief, as_of)
        select %(key)s, %(kind)s, %(subject_id)s, %(brief)s, %(as_of)s
        where not exists (
            select from ops.content_briefs
            where kind = %(kind)s and subject_id = %(subject_id)s and created_at >= %(since)s
        )
        on conflict (brief_key) do nothing
        returning brief_id
        """,
        brief.__dict__ | {"brief": Jsonb(brief.brief), "since": since},
    ).fetchone()
    return None if found is None else found[0]


def add_job(
    connection: psycopg.Connection,
    brief_id: int,
    prompt_version: str,
    model: str,
    parameters: Mapping[str, Any],
    parameters_sha256: str,
) -> int | None:
    """Ask for a brief to be written to; None where it was asked for, by the same means, before. What was superseded
    before it was asked is due again."""
    found = connection.execute(
        """
        insert into ops.content_jobs (brief_id, prompt_version, model, parameters, parameters_sha256)
        values (%s, %s, %s, %s, %s)
        on conflict (brief_id, prompt_version, model, parameters_sha256) do update
        set status = 'waiting', due_at = clock_timestamp(), finished_at = null, reason = null
        where content_jobs.status = 'superseded'
        returning job_id
        """,
        [brief_id, prompt_version, model, Jsonb(parameters), parameters_sha256],
    ).fetchone()
    return None if found is None else found[0]


def brief_kind(connection: psycopg.Connection, brief_id: int) -> str | None:
    """The kind of a brief, None where there is no such one."""
    found = connection.execute("select kind from ops.content_briefs where brief_id = %s", [brief_id]).fetchone()
    return None if found is None else found[0]


def are_due(connection: psycopg.Connection) -> int:
    """Jobs that somebody could take now."""
    return connection.execute(
        """
        select count(*) from ops.content_jobs
        where
            status in ('waiting', 'running', 'written')
            and due_at <= clock_timestamp()
            and coalesce(claimed_until, '-infinity') <= clock_timestamp()
        """
    ).fetchone()[0]


def claim(connection: psycopg.Connection, most: int, lease: timedelta) -> list[ClaimedJob]:
    """The next jobs that are due and nobody's, ours for the lease. Commit before working on them.

    Claims that have lapsed must have been freed first: free_lapsed.
    """
    with connection.cursor(row_factory=class_row(ClaimedJob)) as cursor:
        found = cursor.execute(
            """
            update ops.content_jobs as jobs
            set
                status = case when jobs.status = 'written' then 'written' else 'running' end,
                attempts = jobs.attempts + 1,
                claimed_at = clock_timestamp(),
                claimed_until = clock_timestamp() + %(lease)s
            from ops.content_briefs as briefs
            where
                jobs.job_id = any(array(
                    select due.job_id
                    from ops.content_jobs as due
                    where
                        due.status in ('waiting', 'written')
                        and due.due_at <= clock_timestamp()
                        and coalesce(due.claimed_until, '-infinity') <= clock_timestamp()
                    order by due.due_at, due.job_id
                    limit %(most)s
                    for update skip locked
                ))
                and briefs.brief_id = jobs.brief_id
            returning
                jobs.job_id, jobs.brief_id, briefs.kind, briefs.subject_id, briefs.brief, jobs.prompt_version,
                jobs.model, jobs.parameters, jobs.attempts, jobs.created_at, jobs.due_at, jobs.claimed_at,
                (
                    select calls.answer
                    from ops.content_calls as calls
                    where
                        calls.job_id = jobs.job_id
                        and calls.outcome in ('answered', 'refused')
                        and jobs.status = 'written'
                    order by calls.attempt desc
                    limit 1
                ) as answer,
                (
                    select max(calls.attempt)
                    from ops.content_calls as calls
                    where
                        calls.job_id = jobs.job_id
                        and calls.outcome in ('answered', 'refused')
                        and jobs.status = 'written'
                ) as answered_at_attempt,
                (
                    select count(*)::integer
                    from ops.content_calls as calls
                    where calls.job_id = jobs.job_id and calls.attempt > jobs.retried_after
                ) as calls,
                jobs.retried_after,
                exists (
                    select from ops.content_calls as calls
                    where
                        calls.job_id = jobs.job_id
                        and calls.outcome in ('unknown', 'abandoned')
                        and calls.attempt > jobs.retried_after
                ) as is_uncertain
            """,
            {"most": most, "lease": lease},
        ).fetchall()
    return sorted(found, key=lambda job: (job.due_at, job.job_id))


def free_lapsed(connection: psycopg.Connection) -> int:
    """Free the jobs whose claims ran out, whoever had them being dead, and close the calls that nobody heard the answer
    of: those may have been paid for. Returns how many jobs."""
    with connection.transaction():
        freed = connection.execute(
            """
            update ops.content_jobs
            set status = 'waiting', claimed_until = null
            where status = 'running' and claimed_until <= clock_timestamp()
            returning job_id
            """
        ).fetchall()
        connection.execute(
            """
            update ops.content_calls as calls
            set
                outcome = 'abandoned',
                cost_usd_micros = reserved_usd_micros,
                finished_at = clock_timestamp(),
                error = 'whoever made the call ended, or lost its claim, before its answer was stored'
            from ops.content_jobs as jobs
            where
                jobs.job_id = calls.job_id
                and calls.outcome is null
                and (jobs.status <> 'running' or calls.attempt < jobs.attempts)
            """
        )
    return len(freed)


def replace_job(connection: psycopg.Connection, job: ClaimedJob, prompt_version: str) -> None:
    """End a claimed job for one that is the same but for its prompt: a new one, or one that was ended so before."""
    with connection.transaction():
        ended = connection.execute(
            """
            update ops.content_jobs
            set status = 'superseded', reason = %s, finished_at = clock_timestamp(), claimed_until = null
            where job_id = %s and attempts = %s and status = 'running'
            returning parameters_sha256
            """,
            [f"asked for anew with prompt {prompt_version}", job.job_id, job.attempts],
        ).fetchone()
        if ended is not None:
            add_job(connection, job.brief_id, prompt_version, job.model, job.parameters, ended[0])


def put_back(connection: psycopg.Connection, job: ClaimedJob, due_at: datetime, reason: str) -> bool:
    """Give a claimed job back, to be taken again from then on; one that is written stays so."""
    given = connection.execute(
        """
        update ops.content_jobs
        set
            status = case when status = 'written' then 'written' else 'waiting' end,
            due_at = %s, claimed_until = null, reason = %s
        where job_id = %s and attempts = %s and status in ('running', 'written')
        """,
        [due_at, reason, job.job_id, job.attempts],
    )
    return given.rowcount == 1


def finish(
    connection: psycopg.Connection, job: ClaimedJob, status: str, reason: str | None, drafts: Sequence[NewDraft]
) -> bool:
    """End a claimed job with its drafts, in one transaction; False, and nothing, where it is not ours any more."""
    with connection.transaction():
        ended = connection.execute(
            """
            update ops.content_jobs
            set status = %s, reason = %s, finished_at = clock_timestamp(), claimed_until = null
            where job_id = %s and attempts = %s and status in ('running', 'written')
            """,
            [status, reason, job.job_id, job.attempts],
        )
        if ended.rowcount != 1:
            return False
        connection.execute(
            """
            update ops.content_drafts
            set status = 'superseded', reason = 'its brief was written to again'
            where brief_id = %s and origin = 'template' and status = 'pending_review'
            """,
            [job.brief_id],
        )
        for draft in drafts:
            connection.execute(
                """
                insert into ops.content_drafts
                    (brief_id, job_id, number, variant_id, origin, subject, preview, body, faults, status, reason)
                values (
                    %(brief_id)s, %(job_id)s, %(number)s, %(variant_id)s, %(origin)s, %(subject)s, %(preview)s,
                    %(body)s, %(faults)s, %(status)s, %(reason)s
                )
                on conflict (variant_id) do nothing
                """,
                draft.__dict__
                | {
                    "brief_id": job.brief_id,
                    "job_id": job.job_id,
                    "faults": Jsonb(list(draft.faults)),
                    "status": "rejected" if draft.faults else "pending_review",
                    "reason": "not fit to send" if draft.faults else None,
                },
            )
    return True


def retry(connection: psycopg.Connection, job_id: int) -> bool:
    """Let a job that was left to people, or rejected, be called again; False for any other. Its drafts so far stay; a
    template that waits for review does so until the job has ended again."""
    freed = connection.execute(
        """
        update ops.content_jobs
        set status = 'waiting', due_at = clock_timestamp(), finished_at = null, retried_after = attempts, reason = null
        where job_id = %s and status in ('manual', 'rejected')
        """,
        [job_id],
    )
    return freed.rowcount == 1


def jobs(connection: psycopg.Connection, most: int) -> list[Row]:
    """The latest jobs, newest first, with what their calls cost."""
    return rows(
        connection,
        """
        select
            jobs.job_id, briefs.brief_id, briefs.kind, briefs.subject_id, jobs.model, jobs.status, jobs.reason,
            jobs.attempts, jobs.created_at, jobs.finished_at,
            (
                select coalesce(sum(coalesce(calls.cost_usd_micros, calls.reserved_usd_micros)), 0)::bigint
                from ops.content_calls as calls
                where calls.job_id = jobs.job_id
            ) as cost_usd_micros
        from ops.content_jobs as jobs
        inner join ops.content_briefs as briefs on briefs.brief_id = jobs.brief_id
        order by jobs.job_id desc
        limit %s
        """,
        [most],
    )
