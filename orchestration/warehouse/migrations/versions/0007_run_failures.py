"""Failed runs, recorded once each, with what they left held.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

RUN_FAILURES = """
create table ops.run_failures (
    run_id text primary key,
    job_name text not null,
    failed_at timestamptz not null,
    reason text not null,
    build_id bigint references ops.builds (build_id),
    held_load_ids bigint[] not null default '{}',
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table ops.run_failures is
    'One row per failed run of a job. build_id, held_load_ids: the build it was, and the loads that the build '
    'found wanting; held_load_ids is empty for other jobs.';
create index run_failures_by_time on ops.run_failures (failed_at);
"""


def upgrade() -> None:
    op.execute(RUN_FAILURES)
