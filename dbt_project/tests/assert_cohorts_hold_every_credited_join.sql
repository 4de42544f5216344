{{
    config(meta={
        'description': 'What cohorts count is what single joins say, flagged ones and all.',
        'dagster': {'ref': {'name': 'fct_referrals'}},
    })
}}

with

cohorts as (

    select
        coalesce(sum(credited_joins), 0) as credited_joins,
        coalesce(sum(net_joins), 0) as net_joins
    from {{ ref('int_cohorts') }}

),

joins as (

    select
        count(*) as credited_joins,
        count(*) filter (where is_net) as net_joins
    from {{ ref('fct_referrals') }}
    where is_within_horizon

)

select
    cohorts.credited_joins,
    cohorts.net_joins,
    joins.credited_joins as single_joins,
    joins.net_joins as single_net_joins
from cohorts
cross join joins
where
    {{ viral_tracking_is_on() }}
    and (cohorts.credited_joins <> joins.credited_joins or cohorts.net_joins <> joins.net_joins)
