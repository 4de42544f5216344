"""Alerts: what rules stand at, the incidents that they open, and the messages that somebody must get.

Revision ID: 0012
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ALERTS = """
create table ops.alert_incidents (
    incident_id bigint generated always as identity primary key,
    rule text not null,
    kind text not null check (kind in ('threshold', 'data')),
    severity text not null check (severity in ('info', 'warning', 'critical')),
    opened_at timestamptz not null,
    closed_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    first_told_at timestamptz,
    told_at timestamptz,
    escalated_at timestamptz,
    end_told_at timestamptz,
    created_at timestamptz not null default clock_timestamp()
);
comment on table ops.alert_incidents is
    'From a rule''s firing (kind threshold), or its loss of data (data), until it is over. first_told_at, told_at, '
    'end_told_at: when people were first and last told of it, and of its end; escalated_at: when it went to the next '
    'contact, nobody having acknowledged it.';
create unique index alert_incidents_open on ops.alert_incidents (rule, kind) where closed_at is null;
create index alert_incidents_unsettled on ops.alert_incidents (rule)
where closed_at is null or (told_at is not null and end_told_at is null);
create index alert_incidents_by_time on ops.alert_incidents (opened_at);

create table ops.alert_states (
    rule text primary key,
    is_firing boolean not null default false,
    fired_at timestamptz,
    settled_at timestamptz,
    data text check (data in ('no_data', 'stale', 'error')),
    data_since timestamptz,
    updated_at timestamptz not null default clock_timestamp()
);
comment on table ops.alert_states is
    'What each rule was last found to be in; what is on its way (pending, recovering) is read from the samples.';

create table ops.alert_outbox (
    message_id bigint generated always as identity primary key,
    incident_id bigint not null references ops.alert_incidents (incident_id),
    reason text not null
        check (reason in ('fired', 'resolved', 'data_lost', 'data_back', 'reminder', 'escalation', 'undelivered')),
    channel text not null,
    dedup_key text not null,
    severity text not null check (severity in ('info', 'warning', 'critical')),
    is_over boolean not null,
    title text not null,
    body text not null,
    fields jsonb not null default '{}',
    status text not null default 'waiting' check (status in ('waiting', 'sent', 'dead')),
    due_at timestamptz not null default clock_timestamp(),
    claimed_until timestamptz,
    attempts integer not null default 0,
    last_error text,
    sent_at timestamptz,
    created_at timestamptz not null default clock_timestamp()
);
comment on table ops.alert_outbox is
    'One row for each message and channel, stored together with what it tells. waiting: due at due_at, and nobody''s '
    'from claimed_until on; sent; dead: refused for good, or tried too often. is_over: it says that the incident is '
    'over. dedup_key: by which a receiver that gets a message twice takes it for one.';
create index alert_outbox_waiting on ops.alert_outbox (due_at, message_id) where status = 'waiting';
create index alert_outbox_by_incident on ops.alert_outbox (incident_id, message_id);

create table ops.alert_silences (
    silence_id bigint generated always as identity primary key,
    rule text,
    starts_at timestamptz not null default clock_timestamp(),
    ends_at timestamptz not null,
    author text not null,
    reason text not null,
    check (ends_at > starts_at)
);
comment on table ops.alert_silences is
    'Until ends_at nobody is told of a rule (null: of any). What it finds is stored all the same.';

create table ops.alert_actions (
    incident_id bigint not null references ops.alert_incidents (incident_id),
    action text not null,
    asked_at timestamptz not null default clock_timestamp(),
    done_at timestamptz,
    outcome text,
    primary key (incident_id, action)
);
comment on table ops.alert_actions is 'What an incident set going, once, and what came of it.';

create table ops.metric_samples (
    sample_id bigint generated always as identity unique,
    metric text not null,
    sampled_at timestamptz not null,
    value double precision,
    low double precision,
    high double precision,
    size bigint,
    maturity double precision,
    error text,
    primary key (metric, sampled_at)
);
comment on table ops.metric_samples is
    'Measurements of the engine and its numbers. value: null where there is nothing to measure; low, high: its 95 % '
    'interval; size: what it rests on; maturity: how much of it shows by now; error: why it could not be taken.';
"""


def upgrade() -> None:
    op.execute(ALERTS)
