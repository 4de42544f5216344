{{
    config(meta={
        'description': 'Cohorts by day count every user and what single joins say, flagged ones and all.',
        'dagster': {'ref': {'name': 'viral_coefficient_daily'}},
    })
}}

with

cohorts as (

    select
        coalesce(sum(cohort_users), 0) as users,
        coalesce(sum(credited_joins), 0) as credited_joins,
        coalesce(sum(net_joins), 0) as net_joins
    from {{ ref('viral_coefficient_daily') }}
    where {{ is_not_frozen('cohort_on') }}

),

users as (

    select count(*) as users
    from {{ ref('int_users') }}
    where {{ is_not_frozen('joined_on') }}

),

joins as (

    select
        count(*) as credited_joins,
        count(*) filter (where is_net) as net_joins
    from {{ ref('fct_referrals') }}
    where
        is_within_horizon
        and {{ is_not_frozen(utc_day('inviter_joined_at')) }}

)

select
    cohorts.users as cohort_users,
    cohorts.credited_joins,
    cohorts.net_joins,
    users.users,
    joins.credited_joins as single_joins,
    joins.net_joins as single_net_joins
from cohorts
cross join users
cross join joins
where
    {{ viral_tracking_is_on() }}
    and (
        cohorts.users <> users.users
        or cohorts.credited_joins <> joins.credited_joins
        or cohorts.net_joins <> joins.net_joins
    )
