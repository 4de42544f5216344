"""Jobs for content that ended, and the breaker that judged them, as a test makes them up."""

from datetime import datetime, timedelta

from orchestration.warehouse import Warehouse


def jobs_ended(warehouse: Warehouse, at: datetime, *are_fit: bool) -> None:
    """Jobs for content that called a model and ended then, a second apart."""
    with warehouse.connect() as connection:
        for number, is_fit in enumerate(are_fit):
            connection.execute(
                """
                with brief as (
                    insert into ops.content_briefs (brief_key, kind, subject_id, brief, as_of)
                    values (gen_random_uuid()::text, 'campaign', 'c', '{}', %(at)s)
                    returning brief_id
                ),
                job as (
                    insert into ops.content_jobs
                        (brief_id, prompt_version, model, parameters, parameters_sha256, status, finished_at)
                    select brief_id, 'v1', 'm', '{}', 'x', %(status)s, %(at)s from brief
                    returning job_id
                )
                insert into ops.content_calls (job_id, attempt, outcome, price_version, reserved_usd_micros)
                select job_id, 1, 'answered', 'v1', 0 from job
                """,
                {"at": at + number * timedelta(seconds=1), "status": "done" if is_fit else "rejected"},
            )


def breaker_turned(warehouse: Warehouse, state: str, at: datetime) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "insert into ops.content_breaker (state, since, reason, pause_minutes) values (%s, %s, 'a test', 30)",
            [state, at],
        )
