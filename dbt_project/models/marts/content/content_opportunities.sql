{{ config(indexes=[{'columns': ['kind', 'subject_id'], 'unique': true}]) }}
{%- set least_recipients = policy('content_min_recipients') %}

with

build as (

    select
        as_of,
        {{ week_subject('as_of') }} as week_id
    from {{ ref('stg_build') }}

),

-- One that no record describes has no channel to be compared within.
campaigns as (

    select * from {{ ref('campaign_performance') }}
    where channel is not null

),

connectors as (

    select * from {{ ref('super_connectors') }}

),

invites as (

    select
        recipient_key,
        sent_at + {{ days('invite_window_days') }} as expires_at
    from {{ ref('fct_invites') }}
    where outcome = 'pending'

),

channels as (

    select
        channel,
        sum(matured_delivered)::bigint as matured_delivered,
        sum(converted)::bigint as converted
    from campaigns
    group by channel

),

-- Each campaign beside the others of its channel together.
benchmarks as (

    select
        campaigns.*,
        channels.matured_delivered - campaigns.matured_delivered as benchmark_people,
        channels.converted - campaigns.converted as benchmark_converted
    from campaigns
    inner join channels
        on campaigns.channel = channels.channel

),

compared as (

    select
        benchmarks.*,
        {{ ratio('benchmark_converted', 'benchmark_people') }} as benchmark_rate,
        {{ share_difference('benchmark_converted', 'benchmark_people', 'converted', 'matured_delivered') }}
            as shortfall,
        {{ share_with_interval('own', 'converted', 'matured_delivered', 99) }},
        {{ share_with_interval('benchmark', 'benchmark_converted', 'benchmark_people', 99) }}
    from benchmarks

),

bounded as (

    select
        *,
        ({{ newcombe_low('benchmark', 'own') }})::numeric(38, 12) as shortfall_low
    from compared

),

underperforming as (

    select
        'underperforming_campaign' as kind,
        campaign_id as subject_id,
        campaign_name as subject_name,
        channel,
        matured_delivered as people,
        conversion_rate as rate,
        own_low::numeric(38, 12) as rate_low,
        own_high::numeric(38, 12) as rate_high,
        benchmark_people,
        benchmark_rate,
        shortfall,
        shortfall_low,
        null::bigint as amount_cents,
        null::date as deadline_on
    from bounded
    where
        campaign_status in ('active', 'paused', 'scheduled')
        and matured_delivered >= {{ least_recipients }}
        and benchmark_people >= {{ least_recipients }}
        and shortfall_low > {{ policy('content_min_shortfall') }}

),

-- What follows is told as one row, of enough people to tell of none of them.
new_connectors as (

    select
        'super_connectors' as kind,
        build.week_id as subject_id,
        count(*) as people,
        {{ ratio('sum(connectors.credited_joins)', 'sum(connectors.invites)') }} as rate,
        sum(connectors.reward_due_cents)::bigint as amount_cents,
        null::date as deadline_on
    from build
    inner join connectors
        on
            connectors.connected_at <= build.as_of
            and connectors.connected_at > build.as_of - {{ days(policy('content_new_days')) }}
    group by build.week_id

),

expiring_invites as (

    select
        'expiring_invites' as kind,
        build.week_id as subject_id,
        count(distinct invites.recipient_key) as people,
        null::numeric(38, 12) as rate,
        null::bigint as amount_cents,
        -- The last day on which all of them are open to its end.
        {{ utc_day('min(invites.expires_at)') }} - 1 as deadline_on
    from build
    inner join invites
        on
            invites.expires_at >= build.as_of + {{ days(policy('content_lead_days')) }}
            and invites.expires_at
            <= build.as_of + {{ days(policy('content_lead_days')) }} + {{ days(policy('content_expiring_days')) }}
    group by build.week_id

),

of_people as (

    select * from new_connectors

    union all

    select * from expiring_invites

),

-- While viral tracking rests, its marts tell of an earlier present.
of_groups as (

    select
        kind,
        subject_id,
        null::text as subject_name,
        null::text as channel,
        people,
        rate,
        null::numeric(38, 12) as rate_low,
        null::numeric(38, 12) as rate_high,
        null::bigint as benchmark_people,
        null::numeric(38, 12) as benchmark_rate,
        null::numeric(38, 12) as shortfall,
        null::numeric(38, 12) as shortfall_low,
        amount_cents,
        deadline_on
    from of_people
    where
        {{ viral_tracking_is_on() }}
        and people >= {{ policy('content_min_people') }}

),

opportunities as (

    select * from underperforming

    union all

    select * from of_groups

),

told as (

    select
        opportunities.*,
        build.as_of
    from opportunities
    cross join build

)

select * from told
