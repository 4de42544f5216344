"""Marketing automation: roles and schemas, the load and build ledgers, campaigns and their e-mail events.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROLES = """
do $$
declare
    role_name text;
begin
    foreach role_name in array array['analyst', 'auditor', 'privacy'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception
                when duplicate_object or unique_violation then null;  -- another start made it first
            end;
        end if;
    end loop;
end
$$;
"""

SCHEMAS = """
create schema raw;
create schema staging;
create schema intermediate;
create schema candidate;
create schema marts;
create schema if not exists ops;  -- made before the first migration, for the version table

grant usage on schema marts to analyst;
alter default privileges in schema marts grant select on tables to analyst;
grant usage on schema marts, ops to auditor;
alter default privileges in schema marts grant select on tables to auditor;
alter default privileges in schema ops grant select on tables to auditor;
"""

BUILDS = """
create table ops.builds (
    build_id bigint generated always as identity primary key,
    as_of timestamptz not null,
    status text not null check (status in ('running', 'draft', 'published', 'failed', 'abandoned')),
    base_build_id bigint references ops.builds (build_id),
    base_as_of timestamptz,
    is_full boolean not null,
    full_reason text,
    frozen_before date,
    policy_sha256 text not null,
    code_sha256 text not null,
    run_id text,
    requested_by text not null,
    reason text,
    figures jsonb,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    check (is_full or base_build_id is not null)
);
comment on table ops.builds is
    'One row per build of the marts. base_build_id: the published build that an incremental one starts from; '
    'is_full with full_reason: why it rebuilds everything; frozen_before: marts older than this day are kept.';
create index builds_by_status on ops.builds (status, build_id desc);
"""

LOADS = """
create table raw.loads (
    load_id bigint generated always as identity primary key,
    feed text not null,
    source text not null,
    checksum text,
    records_read bigint not null default 0,
    inserted bigint not null default 0,
    duplicate bigint not null default 0,
    conflicting bigint not null default 0,
    quarantined bigint not null default 0,
    earliest_at timestamptz,
    latest_at timestamptz,
    status text not null default 'loaded' check (status in ('loaded', 'held', 'accepted', 'withdrawn')),
    reason text,
    first_build_id bigint references ops.builds (build_id),
    claimed_build_id bigint references ops.builds (build_id),
    published_build_id bigint references ops.builds (build_id),
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp(),
    check (inserted + duplicate + quarantined = records_read),
    check (conflicting <= duplicate)
);
comment on table raw.loads is
    'One row per file (or requeue). first_build_id, claimed_build_id: the first and the newest build that saw '
    'its rows; published_build_id: the build that first published them; earliest_at, latest_at: the span of its '
    'records'' own times.';
create unique index loads_one_per_content on raw.loads (feed, checksum) where status <> 'withdrawn';
create index loads_unpublished on raw.loads (load_id) where published_build_id is null;

create view raw.hidden_loads as
select load_id
from raw.loads
where claimed_build_id is null or status in ('held', 'withdrawn');
comment on view raw.hidden_loads is
    'Loads that staging does not show: not yet claimed by a build, held, or withdrawn. A handful at any time.';

create table raw.quarantine (
    quarantine_id bigint generated always as identity primary key,
    load_id bigint not null references raw.loads (load_id),
    feed text not null,
    source text not null,
    line bigint not null,
    field text,
    reason text not null,
    record bytea,
    key_version smallint,
    quarantined_at timestamptz not null default clock_timestamp(),
    released_at timestamptz,
    released_load_id bigint references raw.loads (load_id)
);
comment on table raw.quarantine is
    'Records that broke their feed''s contract. record: encrypted; emptied once a requeue has '
    'loaded it and a build has published that.';
create index quarantine_waiting on raw.quarantine (feed, quarantine_id) where released_at is null;

create table raw.shadowed (
    shadow_id bigint generated always as identity primary key,
    feed text not null,
    load_id bigint not null references raw.loads (load_id),
    owner_load_id bigint not null references raw.loads (load_id),
    record jsonb not null
);
comment on table raw.shadowed is
    'Copies of rows whose first sender''s load is not yet published: if that load is held, a copy from another '
    'load takes the row over, so holding a load never hides what a good load also said.';
create index shadowed_by_owner on raw.shadowed (owner_load_id);
create index shadowed_by_load on raw.shadowed (load_id);
"""

FEEDS = """
create table raw.campaigns (
    campaign_id text not null,
    name text not null,
    channel text not null,
    status text not null,
    owner_team text,
    budget_cents bigint,
    currency text,
    starts_at timestamptz,
    ends_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz,
    properties jsonb,
    record_sha256 bytea not null,
    load_id bigint not null,
    primary key (campaign_id, record_sha256)
);
create index campaigns_by_load on raw.campaigns (load_id);

create table raw.campaign_events (
    event_id text primary key,
    event_type text not null,
    campaign_id text not null,
    recipient_key text not null,
    recipient_mailbox_key text not null,
    key_version smallint not null,
    occurred_at timestamptz not null,
    properties jsonb,
    load_id bigint not null
);
create index campaign_events_by_load on raw.campaign_events (load_id);

create table raw.integration_events (
    event_id text primary key,
    integration text not null,
    event_type text not null,
    status text not null,
    expected bigint,
    actual bigint,
    queue_depth bigint,
    occurred_at timestamptz not null,
    properties jsonb,
    load_id bigint not null
);
create index integration_events_by_load on raw.integration_events (load_id);
"""

# The vault belongs to the privacy role. The engine, which migrates, becomes that role for these statements
# alone; afterwards it may add entries and see which exist, but not read an address.
VAULT = """
do $$
declare
    engine name := current_user;
    lent boolean := not (select rolsuper from pg_roles where rolname = current_user)
        and pg_has_role(current_user, 'privacy', 'MEMBER WITH ADMIN OPTION');
begin
    if lent then
        execute format('grant privacy to %I with inherit false, set true', engine);
    end if;
    create schema privacy authorization privacy;
    set local role privacy;

    create table privacy.vault (
        pseudonym text primary key,
        key_version smallint not null,
        address bytea not null,
        stored_at timestamptz not null default clock_timestamp()
    );
    comment on table privacy.vault is
        'The only place where an e-mail address is kept: encrypted, found by its pseudonym.';
    execute format('grant usage on schema privacy to %I', engine);
    execute format('grant insert, select (pseudonym, key_version, stored_at) on privacy.vault to %I', engine);

    execute format('set local role %I', engine);
    if lent then
        execute format('revoke privacy from %I', engine);
    end if;
end
$$;
"""


def upgrade() -> None:
    for statement in (ROLES, SCHEMAS, BUILDS, LOADS, FEEDS, VAULT):
        op.execute(statement)
