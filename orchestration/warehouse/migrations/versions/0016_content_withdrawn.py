"""Content: variants that are taken back where they went, and calls that our own end cut off.

Revision ID: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

CONTENT = """
alter table ops.content_drafts
    add column filed_in jsonb not null default '[]',
    add column retired_at timestamptz,
    add column retired_by text,
    add column withdrawn_at timestamptz;
comment on column ops.content_drafts.filed_in is
    'Files that an approved one was written to, noted before they are: what is retired is deleted there.';
comment on column ops.content_drafts.retired_at is
    'When a variant that had gone out was found to lose, or a person took it back.';
comment on column ops.content_drafts.withdrawn_at is
    'When whoever has a retired variant was told: the sending system, the folder of files. Until then it is tried.';
-- What went out and was superseded by an engine that told nobody.
update ops.content_drafts
set retired_at = clock_timestamp(), retired_by = 'the engine', export_due_at = clock_timestamp(), export_attempts = 0
where status = 'superseded' and (filed_at is not null or sent_at is not null);
create index content_drafts_to_withdraw on ops.content_drafts (draft_id)
where retired_at is not null and withdrawn_at is null;

alter table ops.content_calls drop constraint content_calls_outcome_check;
alter table ops.content_calls add constraint content_calls_outcome_check
    check (outcome in ('answered', 'refused', 'failed', 'unknown', 'abandoned'));
update ops.content_calls
set outcome = 'abandoned'
where outcome = 'unknown' and error = 'whoever made the call ended before its answer was stored';
comment on table ops.content_calls is
    'Each call of a model, stored before it is made: no outcome means that it is under way, or that whoever made it '
    'died. unknown: its answer was not heard; abandoned: whoever made it ended first. Both may have been paid for, so '
    'that their reserve counts as spent. Costs in millionths of a US dollar.';

create or replace view ops.content_outcomes as
select jobs.job_id, jobs.finished_at, jobs.status = 'done' as is_fit
from ops.content_jobs as jobs
where
    jobs.finished_at is not null
    and exists (
        select from ops.content_calls as calls
        where
            calls.job_id = jobs.job_id
            and calls.attempt > jobs.retried_after
            and calls.outcome is distinct from 'abandoned'
    );
comment on view ops.content_outcomes is
    'Jobs that ended and had called a model (since a person last said to call again), and whether a draft was fit: by '
    'which breaker and alert judge it. A call that ended with the engine itself says nothing of the model.';
"""


def upgrade() -> None:
    op.execute(CONTENT)
