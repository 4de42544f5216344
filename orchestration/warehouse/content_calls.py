"""Calls of a model: what they may cost and did cost, what came of them, and the breaker that they are judged by.

A call is stored before it is made, with what it may cost at most, and its answer before anybody judges it: whoever dies
in between leaves behind what was spent and what was written.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from .content import ClaimedJob, Row
from .locks import CONTENT, lock_in_transaction
from .reads import rows


@dataclass(frozen=True)
class Spent:
    """Millionths of a US dollar, calls under way with their reserve. subject: on the same subject, since then.
    under_way: jobs with a call begun since tried_since that have not ended: asked, or being judged."""

    day: int
    subject: int
    under_way: int


def begin_call(
    connection: psycopg.Connection,
    job: ClaimedJob,
    *,
    price_version: str,
    reserve: int,
    day: datetime,
    since: datetime,
    tried_since: datetime | None,
    refusal: Callable[[Spent], str | None],
) -> tuple[Spent, str | None] | None:
    """Store that a call is about to be made, what it may cost at most, and count it as spent. refusal(Spent): why it
    may not be made, or None; then nothing is stored. Returns what was spent, and that; None where the claim is not ours
    any more, and somebody else may be calling.

    day: since when the day's budget counts; since: the subject's; tried_since: since when calls are a try, None while
    they are none. One decides at a time: two would both find room.
    """
    with connection.transaction():
        lock_in_transaction(connection, CONTENT)
        is_ours = connection.execute(
            """
            select true
            from ops.content_jobs
            where job_id = %s and attempts = %s and status = 'running' and claimed_until > clock_timestamp()
            for update
            """,
            [job.job_id, job.attempts],
        ).fetchone()
        if is_ours is None:
            return None
        spent = Spent(
            *connection.execute(
                """
                select
                    coalesce(sum(spent) filter (where started_at >= %(day)s), 0)::bigint,
                    coalesce(sum(spent) filter (
                        where started_at >= %(since)s and kind = %(kind)s and subject_id = %(subject_id)s
                    ), 0)::bigint,
                    (
                        select count(distinct calls.job_id)
                        from ops.content_calls as calls
                        inner join ops.content_jobs as jobs on jobs.job_id = calls.job_id
                        where calls.started_at >= %(tried_since)s and jobs.finished_at is null
                    )
                from (
                    select
                        calls.started_at, briefs.kind, briefs.subject_id,
                        coalesce(calls.cost_usd_micros, calls.reserved_usd_micros) as spent
                    from ops.content_calls as calls
                    inner join ops.content_jobs as jobs on jobs.job_id = calls.job_id
                    inner join ops.content_briefs as briefs on briefs.brief_id = jobs.brief_id
                    where calls.started_at >= least(%(day)s, %(since)s)
                ) as calls
                """,
                {
                    "day": day,
                    "since": since,
                    "tried_since": tried_since,
                    "kind": job.kind,
                    "subject_id": job.subject_id,
                },
            ).fetchone()
        )
        refused = refusal(spent)
        if refused is None:
            connection.execute(
                """
                insert into ops.content_calls (job_id, attempt, price_version, reserved_usd_micros)
                values (%s, %s, %s, %s)
                """,
                [job.job_id, job.attempts, price_version, reserve],
            )
    return spent, refused


@dataclass(frozen=True)
class Call:
    """What came of a call. cost: None where it is not known, then the reserve counts. answer: to be judged."""

    outcome: str
    error: str | None
    cost: int | None
    input_tokens: int | None
    output_tokens: int | None
    model_ms: float
    answer: Mapping[str, Any] | None


def end_call(connection: psycopg.Connection, job: ClaimedJob, call: Call) -> bool:
    """Store what came of the call of this claim; an answer makes the job `written`. False, and nothing, where the claim
    is not ours any more."""
    with connection.transaction():
        ours = connection.execute(
            """
            update ops.content_jobs
            set status = case when %s then 'written' else status end
            where job_id = %s and status = 'running' and attempts = %s
            returning true
            """,
            [call.answer is not None, job.job_id, job.attempts],
        ).fetchone()
        if ours is None:
            return False
        connection.execute(
            """
            update ops.content_calls
            set
                outcome = %(outcome)s, error = %(error)s, input_tokens = %(input_tokens)s,
                output_tokens = %(output_tokens)s, model_ms = %(model_ms)s, answer = %(answer)s,
                cost_usd_micros = coalesce(%(cost)s, reserved_usd_micros), finished_at = clock_timestamp()
            where job_id = %(job_id)s and attempt = %(attempt)s
            """,
            call.__dict__
            | {
                "answer": None if call.answer is None else Jsonb(call.answer),
                "job_id": job.job_id,
                "attempt": job.attempts,
            },
        )
    return True


def outcomes(connection: psycopg.Connection, since: datetime) -> list[tuple[datetime, bool]]:
    """(when, whether a draft was fit) of the jobs that ended since then and had called a model."""
    return connection.execute(
        "select finished_at, is_fit from ops.content_outcomes where finished_at >= %s order by finished_at, job_id",
        [since],
    ).fetchall()


@contextmanager
def deciding(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction in which nobody else decides whether AI is called."""
    with connection.transaction():
        lock_in_transaction(connection, CONTENT)
        yield


def breaker(connection: psycopg.Connection) -> Row | None:
    """state, since, reason, pause_minutes of the latest change; None before the first."""
    found = rows(
        connection,
        "select state, since, reason, pause_minutes from ops.content_breaker order by change_id desc limit 1",
    )
    return found[0] if found else None


def save_breaker(connection: psycopg.Connection, state: str, since: datetime, reason: str, pause_minutes: int) -> None:
    """Store a change of the breaker."""
    connection.execute(
        "insert into ops.content_breaker (state, since, reason, pause_minutes) values (%s, %s, %s, %s)",
        [state, since, reason, pause_minutes],
    )
