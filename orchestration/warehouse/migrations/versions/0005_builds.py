"""Builds: how one is opened, what it claims and from where it starts. One rule for every caller.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CURRENT_BUILD = """
create view ops.current_build as
select build_id, as_of, base_build_id, base_as_of, is_full, frozen_before
from ops.builds
order by build_id desc
limit 1;
comment on view ops.current_build is
    'The build that models compute for: as_of is their present, base_build_id where an incremental one starts.';
"""

CANDIDATE_STATE = """
create unlogged table ops.candidate_state (
    build_id bigint not null
);
comment on table ops.candidate_state is
    'The published build in whose state the tables of intermediate and candidate are. Unlogged, as they are: a '
    'crash of the server empties all of them at once.';
"""

OPEN_BUILD = """
create function ops.open_build(
    as_of timestamptz,
    policy_sha256 text,
    code_sha256 text,
    requested_by text,
    run_id text default null,
    status text default 'running',
    full_reason text default null
) returns bigint
language plpgsql as $$
declare
    base ops.builds;
    latest ops.builds;
    opened bigint;
begin
    update ops.builds as earlier
    set status = 'abandoned', finished_at = clock_timestamp(), reason = 'ended without a word'
    where earlier.status = 'running';

    select * into latest from ops.builds order by build_id desc limit 1;
    select * into base from ops.builds as earlier
    where earlier.status = 'published' order by build_id desc limit 1;

    full_reason := case
        when open_build.full_reason is not null then open_build.full_reason
        when base.build_id is null then 'first build'
        when latest.build_id <> base.build_id
            then format('build %s was not published (%s)', latest.build_id, latest.status)
        when not exists (select from ops.candidate_state as state where state.build_id = base.build_id)
            then 'the server crashed, or the warehouse was restored without its unlogged tables'
        when base.policy_sha256 <> open_build.policy_sha256 then 'the policy changed'
        when base.code_sha256 <> open_build.code_sha256 then 'the models changed'
        when open_build.as_of < base.as_of then format('as_of goes back from %s', base.as_of)
    end;

    insert into ops.builds (
        as_of, status, base_build_id, base_as_of, is_full, full_reason, frozen_before,
        policy_sha256, code_sha256, run_id, requested_by
    )
    values (
        open_build.as_of, open_build.status, base.build_id, base.as_of, open_build.full_reason is not null,
        open_build.full_reason, base.frozen_before,
        open_build.policy_sha256, open_build.code_sha256, open_build.run_id, open_build.requested_by
    )
    returning build_id into opened;

    update raw.loads
    set claimed_build_id = opened, first_build_id = coalesce(first_build_id, opened)
    where published_build_id is null and raw.loads.status in ('loaded', 'accepted');

    return opened;
end
$$;
"""

JOIN_BUILD = """
create function ops.join_build(as_of timestamptz) returns bigint
language plpgsql as $$
declare
    named bigint := nullif(current_setting('marketing.build_id', true), '')::bigint;
    running ops.builds;
begin
    if named is not null then
        if not exists (select from ops.builds where build_id = named and status = 'running') then
            raise exception 'build % is not running any more', named;
        end if;
        return named;
    end if;

    select * into running from ops.builds where status = 'running' order by build_id desc limit 1;
    if running.build_id is not null and ops.build_lock_is_held() then
        raise exception 'build % is running since %', running.build_id, running.started_at
            using hint = 'Wait for it to end, or use: marketing build --wait SECONDS';
    end if;
    return ops.open_build(
        coalesce(join_build.as_of, clock_timestamp()), 'draft', 'draft', 'dbt', null, 'draft',
        'a plain dbt build'
    );
end
$$;
comment on function ops.join_build is
    'Called by dbt before its first model. Inside a build the session says marketing.build_id; a plain '
    'dbt build opens a draft, which nothing publishes.';
"""

LOCK = """
create function ops.build_lock_is_held() returns boolean
language sql stable as $$
    select exists (
        select from pg_locks
        where
            locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())
            and classid = {classid} and objid = {objid} and objsubid = 2
    )
$$;
"""

# The two halves of the advisory lock's key; orchestration/warehouse/locks.py holds the same.
BUILD_LOCK = (0x6D6B7467, 2)


def upgrade() -> None:
    op.execute(CURRENT_BUILD)
    op.execute(CANDIDATE_STATE)
    op.execute(LOCK.format(classid=BUILD_LOCK[0], objid=BUILD_LOCK[1]))
    op.execute(OPEN_BUILD)
    op.execute(JOIN_BUILD)
