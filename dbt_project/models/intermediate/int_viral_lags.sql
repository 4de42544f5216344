{{
    config(
        indexes=[{'columns': ['lag_hours'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set horizon = policy('viral_horizon_days') %}

with

build as (

    select
        as_of,
        as_of - {{ days(policy('viral_lag_fit_days')) }} as from_at
    from {{ ref('stg_build') }}

),

users as (

    select * from {{ ref('int_referrals') }}

),

joins as (

    select * from {{ ref('fct_referrals') }}
    where is_within_horizon

),

ages as (

    select {{ microseconds('build.as_of - users.joined_at') }} as age_us
    from users
    inner join build
        on
            users.joined_at >= build.from_at
            and users.cohort_on >= {{ utc_day('build.from_at') }}

),

lags as (

    select {{ microseconds('joins.joined_at - joins.inviter_joined_at') }} as lag_us
    from joins
    inner join build
        on joins.inviter_joined_at >= build.from_at

),

both_sides as (

    select
        age_us as at_us,
        1 as users,
        0 as joins
    from ages

    union all

    select
        lag_us as at_us,
        0 as users,
        1 as joins
    from lags

),

-- Only users of at least a lag's age could have shown it: of younger ones it cannot be known yet.
counted as (

    select
        at_us,
        joins,
        sum(users) over (order by at_us desc range unbounded preceding) as users_at_risk
    from both_sides

),

by_hour as (

    select
        ceil(at_us::numeric / {{ microseconds_per_hour() }})::integer as lag_hours,
        count(*) as joins,
        -- Rounded one by one, so that no order of summing moves a digit.
        sum(round(1::numeric(50, 30) / nullif(users_at_risk, 0), 24)) as expected_joins
    from counted
    where joins > 0
    group by ceil(at_us::numeric / {{ microseconds_per_hour() }})::integer

),

hours as (

    select
        hours.lag_hours,
        coalesce(by_hour.joins, 0) as joins,
        sum(coalesce(by_hour.expected_joins, 0)) over (
            order by hours.lag_hours
            rows unbounded preceding
        ) as expected_joins
    from {{ whole_numbers(0, horizon ~ ' * 24') }} as hours (lag_hours)
    left join by_hour
        on hours.lag_hours = by_hour.lag_hours

),

-- While nobody is of the horizon's age, nobody knows how much is still to come.
known as (

    select
        max(hours.expected_joins) as expected_joins,
        (select max(ages.age_us) from ages) as oldest_us
    from hours

)

select
    hours.lag_hours,
    hours.joins,
    {{ ratio('hours.expected_joins', 'known.expected_joins') }} as share
from hours
cross join known
where
    known.expected_joins > 0
    and known.oldest_us >= {{ horizon }} * 24 * {{ microseconds_per_hour() }}
