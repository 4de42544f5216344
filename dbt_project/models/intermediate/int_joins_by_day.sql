with

users as (

    select * from {{ ref('int_referrals') }}

),

referrals as (

    select * from {{ ref('fct_referrals') }}
    where
        is_within_horizon
        and is_net

),

days as (

    select
        cohort_on as date,
        count(*) as users
    from users
    group by cohort_on

),

referred as (

    select
        {{ utc_day('joined_at') }} as date,
        count(*) as joins
    from referrals
    group by {{ utc_day('joined_at') }}

)

select
    days.date,
    days.users,
    coalesce(referred.joins, 0) as referred_joins
from days
left join referred
    on days.date = referred.date
