{{ config(indexes=[{'columns': ['cohort_on'], 'unique': true}]) }}
{%- set horizon = days(policy('viral_horizon_days')) %}

with

users as (

    select * from {{ ref('int_users') }}
    where {{ is_not_frozen('joined_on') }}

),

invites as (

    select * from {{ ref('int_invites_counted') }}
    where rejected_reason is null

),

joins as (

    select * from {{ ref('int_joins_credited') }}

),

build as (

    select * from {{ ref('stg_build') }}

),

cohorts as (

    select
        joined_on as cohort_on,
        count(*) as cohort_users
    from users
    group by joined_on

),

invites_within_horizon as (

    select
        users.joined_on as cohort_on,
        count(*) as invites
    from invites
    inner join users
        on
            invites.inviter_id = users.user_id
            and invites.sent_at >= users.signed_up_at
            and invites.sent_at <= users.signed_up_at + {{ horizon }}
    group by users.joined_on

),

joins_within_horizon as (

    select
        users.joined_on as cohort_on,
        count(*) as credited_joins
    from joins
    inner join users
        on
            joins.inviter_id = users.user_id
            and joins.joined_at >= users.signed_up_at
            and joins.joined_at <= users.signed_up_at + {{ horizon }}
    group by users.joined_on

),

counted as (

    select
        cohorts.cohort_on,
        cohorts.cohort_users,
        coalesce(invites_within_horizon.invites, 0) as invites,
        coalesce(joins_within_horizon.credited_joins, 0) as credited_joins
    from cohorts
    left join invites_within_horizon
        on cohorts.cohort_on = invites_within_horizon.cohort_on
    left join joins_within_horizon
        on cohorts.cohort_on = joins_within_horizon.cohort_on

),

coefficients as (

    select
        counted.cohort_on,
        counted.cohort_users,
        counted.invites,
        counted.credited_joins,
        {{ ratio('counted.invites', 'counted.cohort_users') }} as invites_per_user,
        {{ ratio('counted.credited_joins', 'counted.invites') }} as conversion_per_invite,
        {{ ratio('counted.credited_joins', 'counted.cohort_users') }} as k_observed,
        {{ utc_midnight('counted.cohort_on + 1') }} + {{ horizon }} <= build.as_of as is_mature
    from counted
    cross join build

)

{% if viral_tracking_is_on() %}
{{ with_frozen('coefficients', 'cohort_on') }}
{% else %}
{{ log('viral tracking is off (VIRAL_TRACKING_ENABLED): ' ~ this.identifier ~ ' stays as published', info=execute) }}
{{ as_published('coefficients') }}
{% endif %}
