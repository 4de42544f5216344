"""Failed runs, recorded for those who alert on them."""

from dataclasses import dataclass
from datetime import datetime

import psycopg


@dataclass(frozen=True)
class RunFailure:
    """A run that failed. reason: its first error."""

    run_id: str
    job_name: str
    failed_at: datetime
    reason: str


def record_failure(connection: psycopg.Connection, failure: RunFailure) -> bool:
    """Store a failure with its build and the loads that the build holds; False when it was stored before."""
    stored = connection.execute(
        """
        insert into ops.run_failures (run_id, job_name, failed_at, reason, build_id, held_load_ids)
        select
            %(run_id)s,
            %(job_name)s,
            %(failed_at)s,
            %(reason)s,
            builds.build_id,
            coalesce(
                (
                    select array_agg(loads.load_id order by loads.load_id)
                    from raw.loads
                    where loads.claimed_build_id = builds.build_id and loads.status = 'held'
                ),
                '{}'
            )
        from (select 1) as one
        left join ops.builds on builds.run_id = %(run_id)s
        on conflict (run_id) do nothing
        """,
        failure.__dict__,
    )
    return stored.rowcount == 1
