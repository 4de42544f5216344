"""The viral coefficient: the tables that its fits fill, super-connectors as events, and the headline of this moment.

Revision ID: 0010
"""

from alembic import op

from orchestration.warehouse.migrations.functions import VIRAL_COEFFICIENT_NOW

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Plain tables, which no dbt model makes: what Python fits from a build's statistics, for the models after it.
FITS = """
create table intermediate.fit_viral_intervals (
    grain text not null,
    cohort_on date,
    user_type text,
    k_low numeric(38, 12) not null,
    k_high numeric(38, 12) not null,
    build_id bigint not null,
    unique nulls not distinct (grain, cohort_on, user_type)
);
comment on table intermediate.fit_viral_intervals is
    'Intervals of K over referral trees, for the build of build_id. grain: day, day_by_user_type, week (cohort_on is '
    'its Monday) or headline (neither day nor type).';

create table intermediate.fit_viral_backtest (
    replayed_on date not null,
    scope text not null,
    cohort_users bigint not null,
    net_joins bigint not null,
    k_observed numeric(38, 12) not null,
    maturity numeric(38, 12) not null,
    k_said numeric(38, 12) not null,
    low numeric(38, 12),
    high numeric(38, 12),
    k_turned_out numeric(38, 12),
    build_id bigint not null,
    primary key (replayed_on, scope)
);
comment on table intermediate.fit_viral_backtest is
    'What would have been said of K at the end of each past day, and what turned out, for the build of build_id.';

create table intermediate.fit_viral_spread (
    metric text primary key,
    value double precision,
    low double precision,
    high double precision,
    measured bigint not null,
    build_id bigint not null
);
comment on table intermediate.fit_viral_spread is
    'How unevenly users bring others, and where it leads, for the build of build_id.';

create table intermediate.fit_viral_levers (
    segment_kind text not null,
    segment text not null,
    lever text not null,
    elasticity numeric(38, 12),
    low numeric(38, 12),
    high numeric(38, 12),
    k_share numeric(38, 12),
    k numeric(38, 12),
    k_after numeric(38, 12),
    build_id bigint not null,
    primary key (segment_kind, segment, lever)
);
comment on table intermediate.fit_viral_levers is
    'By how much K moves with what it is made of, for the build of build_id.';

create table intermediate.fit_viral_forecasts (
    forecast_on date not null,
    horizon_days integer not null,
    expected_joins numeric(38, 12) not null,
    expected_referred_joins numeric(38, 12) not null,
    low numeric(38, 12) not null,
    high numeric(38, 12) not null,
    k numeric(38, 12) not null,
    came_joins bigint,
    build_id bigint not null,
    primary key (forecast_on, horizon_days)
);
comment on table intermediate.fit_viral_forecasts is
    'Joins forecast at the end of a day for so many days after it, and what came, for the build of build_id.';
"""


EVENTS = """
create table ops.super_connector_events (
    user_id text primary key,
    connected_at timestamptz not null,
    build_id bigint not null references ops.builds (build_id),
    created_at timestamptz not null default clock_timestamp()
);
comment on table ops.super_connector_events is
    'One row for each user who ever became a super-connector: connected_at, when the join came that made them one; '
    'build_id: whose publication first showed it.';
"""


# Rings of inviters: a recursive query visits each node once for each that leads to it, this one each edge once.
CYCLES = """
create function ops.edges_in_cycles(tails integer[], heads integer[]) returns table (edge integer)
language plpgsql immutable as $$
#variable_conflict use_variable
declare
    nodes constant integer := coalesce(
        (select max(one) from unnest(tails || heads) as ends (one)), 0
    );
    no_node constant integer[] := array_fill(0, array[greatest(nodes, 1)]);
    first_edge integer[] := no_node;
    next_edge integer[] := array_fill(0, array[greatest(cardinality(tails), 1)]);
    visited integer[] := no_node;
    lowest integer[] := no_node;
    found integer[] := no_node;
    path integer[] := no_node;
    waiting integer[] := no_node;
    visits integer := 0;
    depth integer;
    waits integer := 0;
    components integer := 0;
    here integer;
    there integer;
begin
    for edge in reverse cardinality(tails)..1 loop
        next_edge[edge] := first_edge[tails[edge]];
        first_edge[tails[edge]] := edge;
    end loop;
    -- Strongly connected components, by Tarjan (1972), Depth-first search and linear graph algorithms; with a path of
    -- its own instead of recursion.
    for start in 1..nodes loop
        if visited[start] > 0 then
            continue;
        end if;
        depth := 1;
        path[1] := start;
        while depth > 0 loop
            here := path[depth];
            if visited[here] = 0 then
                visits := visits + 1;
                visited[here] := visits;
                lowest[here] := visits;
                waits := waits + 1;
                waiting[waits] := here;
            end if;
            edge := first_edge[here];
            if edge > 0 then
                first_edge[here] := next_edge[edge];
                there := heads[edge];
                if visited[there] = 0 then
                    depth := depth + 1;
                    path[depth] := there;
                elsif found[there] = 0 then
                    lowest[here] := least(lowest[here], visited[there]);
                end if;
                continue;
            end if;
            if lowest[here] = visited[here] then
                components := components + 1;
                loop
                    there := waiting[waits];
                    waits := waits - 1;
                    found[there] := components;
                    exit when there = here;
                end loop;
            end if;
            depth := depth - 1;
            if depth > 0 then
                lowest[path[depth]] := least(lowest[path[depth]], lowest[here]);
            end if;
        end loop;
    end loop;
    return query
    select numbers.one
    from generate_series(1, cardinality(tails)) as numbers (one)
    where found[tails[numbers.one]] = found[heads[numbers.one]];
end
$$;
comment on function ops.edges_in_cycles is
    'Edges 1, 2, ... of a directed graph that lie on a cycle: both ends are in one strongly connected component. '
    'tails, heads: from where to where each goes, nodes being 1, 2, ...';
"""

# Of whom an invite speaks, and whose records have come since: what the headline of this moment looks up.
LOOK_UPS = """
create index users_by_email_key on raw.users (email_key);
create index users_by_invite_id on raw.users (invite_id) where invite_id is not null;
create index loads_by_latest_at on raw.loads (latest_at);
create index loads_hidden on raw.loads (load_id) where status in ('held', 'withdrawn');

create function ops.known_user(user_id text, as_of timestamptz, hidden bigint[]) returns setof raw.users
language sql stable rows 1 as $$
    select known.*
    from (
        select *
        from raw.users
        where
            users.user_id = known_user.user_id
            and coalesce(users.updated_at, '-infinity') <= known_user.as_of
            and users.load_id <> all(known_user.hidden)
        order by updated_at desc nulls last, record_sha256 desc
        limit 1
    ) as known
    where known.signed_up_at <= known_user.as_of
$$;
comment on function ops.known_user is
    'A user in the version in force at as_of, whether a build has seen it or not; no row for one who has not joined. '
    'hidden: loads that are held or withdrawn.';
"""


def upgrade() -> None:
    for statement in (FITS, EVENTS, CYCLES, LOOK_UPS, VIRAL_COEFFICIENT_NOW):
        op.execute(statement)
