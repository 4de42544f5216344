"""Content: briefs, the jobs that write to them, every call that was paid for, drafts and who judged them.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

CONTENT = """
create table ops.content_briefs (
    brief_id bigint generated always as identity primary key,
    brief_key text not null unique,
    kind text not null,
    subject_id text not null,
    brief jsonb not null,
    as_of timestamptz not null,
    created_at timestamptz not null default clock_timestamp()
);
comment on table ops.content_briefs is
    'What content is to be written about: aggregates and placeholders, nothing of a person. brief_key: SHA-256 of the '
    'brief; as_of: of the build whose marts it is from.';
create index content_briefs_by_subject on ops.content_briefs (kind, subject_id, created_at);

create table ops.content_jobs (
    job_id bigint generated always as identity primary key,
    brief_id bigint not null references ops.content_briefs (brief_id),
    prompt_version text not null,
    model text not null,
    parameters jsonb not null,
    parameters_sha256 text not null,
    status text not null default 'waiting'
        check (status in ('waiting', 'running', 'written', 'done', 'rejected', 'manual', 'superseded')),
    reason text,
    due_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    retried_after integer not null default 0,
    claimed_at timestamptz,
    claimed_until timestamptz,
    finished_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    unique (brief_id, prompt_version, model, parameters_sha256)
);
comment on table ops.content_jobs is
    'One for each brief, prompt, model and parameters: a re-run finds it. waiting: due at due_at; running: somebody''s '
    'until claimed_until; written: the answer is stored, not yet judged; done: a draft is fit; rejected: none is; '
    'superseded: another prompt came into force first; manual: left to people, with a filled-in template (reason: '
    'why). retried_after: calls up to this attempt do not keep it from being called again, a person having said so.';
create index content_jobs_open on ops.content_jobs (due_at, job_id) where status in ('waiting', 'running', 'written');
create index content_jobs_finished on ops.content_jobs (finished_at) where finished_at is not null;

create table ops.content_calls (
    call_id bigint generated always as identity primary key,
    job_id bigint not null references ops.content_jobs (job_id),
    attempt integer not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    outcome text check (outcome in ('answered', 'refused', 'failed', 'unknown')),
    error text,
    price_version text not null,
    reserved_usd_micros bigint not null,
    cost_usd_micros bigint,
    input_tokens bigint,
    output_tokens bigint,
    model_ms double precision,
    answer jsonb,
    unique (job_id, attempt)
);
comment on table ops.content_calls is
    'Each call of a model, stored before it is made: no outcome means that it is under way, or that whoever made it '
    'died. unknown: it may have been paid for, so its reserve counts as spent. Costs in millionths of a US dollar.';
create index content_calls_by_time on ops.content_calls (started_at);

create view ops.content_outcomes as
select jobs.job_id, jobs.finished_at, jobs.status = 'done' as is_fit
from ops.content_jobs as jobs
where
    jobs.finished_at is not null
    and exists (
        select from ops.content_calls as calls
        where calls.job_id = jobs.job_id and calls.attempt > jobs.retried_after
    );
comment on view ops.content_outcomes is
    'Jobs that ended and had called a model (since a person last said to call again), and whether a draft was fit: by '
    'which breaker and alert judge it.';

create table ops.content_drafts (
    draft_id bigint generated always as identity primary key,
    brief_id bigint not null references ops.content_briefs (brief_id),
    job_id bigint not null references ops.content_jobs (job_id),
    number integer not null,
    variant_id text not null unique,
    origin text not null check (origin in ('ai', 'template')),
    subject text not null,
    preview text not null,
    body text not null,
    faults jsonb not null default '[]',
    status text not null check (status in ('pending_review', 'approved', 'rejected', 'published', 'superseded')),
    reason text,
    reviewed_by text,
    reviewed_at timestamptz,
    filed_at timestamptz,
    sent_at timestamptz,
    export_due_at timestamptz not null default clock_timestamp(),
    export_attempts integer not null default 0,
    created_at timestamptz not null default clock_timestamp()
);
comment on table ops.content_drafts is
    'What was written, by a model (origin ai) or by filling in a template, and who judged it. variant_id: what the '
    'sending system puts into campaign events. filed_at, sent_at: when an approved one was exported, and taken by the '
    'webhook.';
create index content_drafts_open on ops.content_drafts (status, draft_id);

create table ops.content_breaker (
    change_id bigint generated always as identity primary key,
    state text not null check (state in ('closed', 'open', 'half_open')),
    since timestamptz not null,
    reason text not null,
    pause_minutes integer not null
);
comment on table ops.content_breaker is
    'Each change of the breaker that keeps jobs from a model whose answers are no good; the latest holds.';
"""


def upgrade() -> None:
    op.execute(CONTENT)
