{%- set horizon = days(policy('viral_horizon_days')) %}

with

build as (

    select * from {{ ref('stg_build') }}

),

-- Whoever is of the horizon's age has brought all that counts.
users as (

    select referrals.*
    from {{ ref('int_referrals') }} as referrals
    inner join build
        on
            referrals.joined_at <= build.as_of - {{ horizon }}
            and referrals.joined_at > build.as_of - {{ horizon }} - {{ days(policy('viral_lag_fit_days')) }}

),

referrers as (

    select * from {{ ref('int_referrers') }}

),

counts as (

    select
        coalesce(referrers.net_joins, 0) as net_joins,
        users.generation = 0 as is_seed,
        users.tree_group,
        count(*) as users
    from users
    left join referrers
        on users.user_id = referrers.user_id
    group by
        coalesce(referrers.net_joins, 0),
        users.generation = 0,
        users.tree_group

)

select * from counts
