{%- set measures = [
    ('dashboard', 'heartbeat_age_minutes', 'heartbeat', '<=', policy('integration_heartbeat_max_minutes')),
    ('viral', 'sync_rate', 'sync', '>=', policy('viral_sync_min_rate')),
    ('success', 'trigger_accuracy', 'trigger', '>=', policy('trigger_min_accuracy')),
    ('offline', 'queue_depth', 'queue', '<=', policy('offline_queue_max_depth')),
] %}
{%- set is_few = "coalesce(measured.expected < " ~ policy('integration_min_expected') ~ ", false)" %}

with

build as (

    select
        as_of,
        as_of - {{ days(policy('integration_days')) }} as since_at
    from {{ ref('stg_build') }}

),

events as (

    select * from {{ ref('stg_integration_events') }}

),

measures as (

    select *
    from (
        values
        {% for integration, measure, event_type, comparison, target in measures %}
            ('{{ integration }}', '{{ measure }}', '{{ event_type }}', '{{ comparison }}', {{ target }}::numeric)
            {{- ',' if not loop.last }}
        {% endfor %}
    ) as given (integration, measure, event_type, comparison, target)

),

-- Up to when anything is known: with files that come once a day, nobody can tell yet who is silent since.
seen as (

    select max(occurred_at) as seen_at from events

),

-- However long ago: of a system that has stopped it is to be told since when.
heartbeats as (

    select
        integration,
        max(occurred_at) filter (where status = 'ok') as heartbeat_at
    from events
    where event_type = 'heartbeat'
    group by integration

),

recent as (

    select
        measures.integration,
        events.event_id,
        events.status,
        events.expected,
        -- One that failed and does not say what arrived brought nothing.
        case when events.status = 'failed' then coalesce(events.actual, 0) else events.actual end as actual,
        events.queue_depth,
        events.occurred_at
    from build
    cross join measures
    inner join events
        on
            measures.integration = events.integration
            and measures.event_type = events.event_type
            and events.occurred_at > build.since_at

),

counted as (

    select
        integration,
        count(*) as events,
        count(*) filter (where status = 'failed') as failed,
        -- Only those that say both what was to come and what came; what came beyond makes up for nothing that did not.
        sum(expected) filter (where expected is not null and actual is not null) as expected,
        sum(least(actual, expected)) filter (where expected is not null and actual is not null) as arrived,
        sum(abs(expected - actual)) filter (where expected is not null and actual is not null) as off
    from recent
    group by integration

),

queues as (

    select distinct on (integration)
        integration,
        queue_depth
    from recent
    where queue_depth is not null
    order by
        integration,
        occurred_at desc,
        {{ by_code_point('event_id') }} desc

),

measured as (

    select
        measures.integration,
        measures.measure,
        measures.comparison,
        measures.target,
        heartbeats.integration is not null as has_beaten,
        heartbeats.heartbeat_at,
        round({{ seconds('seen.seen_at - heartbeats.heartbeat_at') }} / 60, 12) as heartbeat_age_minutes,
        case measures.measure
            when 'heartbeat_age_minutes'
                then round({{ seconds('seen.seen_at - heartbeats.heartbeat_at') }} / 60, 12)
            when 'sync_rate' then {{ ratio('counted.arrived', 'counted.expected') }}
            when 'trigger_accuracy'
                then {{ ratio('greatest(counted.expected - counted.off, 0)', 'counted.expected') }}
            when 'queue_depth' then queues.queue_depth
        end as value,
        case when measures.event_type in ('sync', 'trigger') then coalesce(counted.expected, 0)::bigint end as expected,
        coalesce(counted.events, 0) as events,
        coalesce(counted.failed, 0) as failed,
        build.as_of
    from build
    cross join seen
    cross join measures
    left join heartbeats
        on measures.integration = heartbeats.integration
    left join counted
        on measures.integration = counted.integration
    left join queues
        on measures.integration = queues.integration

),

judged as (

    select
        measured.integration,
        case
            when
                measured.heartbeat_age_minutes > {{ policy('integration_heartbeat_max_minutes') }}
                or (measured.has_beaten and measured.heartbeat_at is null)
                or ({{ goal_status('measured') }} = 'missed' and not {{ is_few }})
                then 'failing'
            when measured.heartbeat_at is null or measured.value is null or {{ is_few }} then 'no_data'
            else 'healthy'
        end as status,
        measured.heartbeat_at,
        measured.heartbeat_age_minutes::numeric(38, 12) as heartbeat_age_minutes,
        measured.measure,
        measured.value::numeric(38, 12) as value,
        measured.target::numeric(38, 12) as target,
        measured.comparison,
        measured.expected,
        measured.events,
        measured.failed,
        measured.as_of
    from measured

)

select * from judged
