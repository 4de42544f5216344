"""Monitoring: samples rolled up, switches that alerts may turn, silences that end early.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

MONITORING = """
alter table ops.metric_samples add column run_id text;
alter table ops.metric_samples add column label text;
alter table ops.metric_samples drop column sample_id;
comment on column ops.metric_samples.run_id is 'The Dagster run that the sample speaks of, where there is one.';
comment on column ops.metric_samples.label is 'What the value is of (a feed, a component), or why there is none.';

alter table ops.alert_states add column decided_at timestamptz;
comment on column ops.alert_states.decided_at is
    'When the rule could be judged for the first time: of one that never could nobody is told that it cannot.';

create table ops.installation (
    installation_id uuid not null default gen_random_uuid()
);
create unique index installation_is_one on ops.installation ((true));
insert into ops.installation default values;
comment on table ops.installation is
    'What this warehouse is known by to those who hear from several: receivers of alerts and webhooks.';

create table ops.metric_rollups (
    metric text not null,
    resolution text not null check (resolution in ('1m', '5m', '1h', '1d')),
    bucket_at timestamptz not null,
    samples integer not null,
    without_value integer not null,
    avg double precision,
    max double precision,
    p95 double precision,
    p99 double precision,
    primary key (metric, resolution, bucket_at)
);
comment on table ops.metric_rollups is
    'Samples of each metric in buckets that begin at bucket_at (UTC). p95, p99: by nearest rank, so that each is a '
    'value that was measured. samples: those with a value, of which avg, max, p95 and p99 are. Written in the '
    'transaction of the samples themselves.';

create table ops.switch_changes (
    change_id bigint generated always as identity primary key,
    switch text not null check (switch in ('ai_content')),
    is_on boolean not null,
    author text not null,
    reason text not null,
    changed_at timestamptz not null default clock_timestamp()
);
comment on table ops.switch_changes is
    'Who turned what on or off, when and why; a switch that is not named here is on. ai_content: whether jobs write '
    'content, or leave it to people.';

create view ops.switches as
select distinct on (switch) switch, is_on, author, reason, changed_at
from ops.switch_changes
order by switch, change_id desc;
comment on view ops.switches is 'The latest change of each switch.';

alter table ops.alert_silences add column ended_by text;
comment on column ops.alert_silences.ended_by is 'Who ended it before its time, at ends_at.';

create or replace view ops.current_build as
select
    builds.build_id,
    builds.as_of,
    builds.base_build_id,
    builds.base_as_of,
    builds.is_full,
    builds.frozen_before,
    builds.calibration_id,
    not builds.is_full and builds.calibration_id is distinct from base.calibration_id as recredits,
    builds.started_at
from ops.builds
left join ops.builds as base
    on builds.base_build_id = base.build_id
order by builds.build_id desc
limit 1;
comment on column ops.current_build.started_at is
    'When the build began by the clock. as_of decides which events it sees; what the engine measured of itself it sees '
    'up to this.';
"""


def upgrade() -> None:
    op.execute(MONITORING)
