{{
    config(
        indexes=[{'columns': ['cohort_on', 'user_type'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}

with

build as (

    select
        *,
        -- Whoever joined before is of full age, whatever the minute.
        as_of - {{ days(policy('viral_horizon_days')) }} - {{ hours(1) }} as all_grown_at
    from {{ ref('stg_build') }}

),

hours as (

    select * from {{ ref('int_joins_by_hour') }}

),

lags as (

    select * from {{ ref('int_viral_lags') }}

),

cohorts as (

    select
        cohort_on,
        user_type,
        {{ cohort_sums() }},
        sum(seeds)::bigint as seeds
    from {{ ref('int_cohorts') }}
    group by
        cohort_on,
        user_type

),

grown as (

    select
        hours.cohort_on,
        hours.user_type,
        hours.users::numeric as exposure
    from hours
    cross join build
    where hours.joined_hour_at < build.all_grown_at

),

growing as (

    select
        hours.*,
        {{ microseconds('build.as_of - hours.joined_hour_at') }} as hour_age_us,
        {{ whole_quotient('hours.past_hour_us + hours.users - 1', 'hours.users') }} as past_hour_us_per_user
    from hours
    cross join build
    where hours.joined_hour_at >= build.all_grown_at

),

-- By their mean age: the sum of ages, users times microseconds, is too large for an integer from millions of users on.
aged as (

    select
        *,
        {{ whole_quotient('hour_age_us - past_hour_us_per_user', microseconds_per_hour()) }} as hours_old
    from growing

),

-- And what is beyond these hours, summed over the users.
rested as (

    select
        *,
        users * (hour_age_us - hours_old * {{ microseconds_per_hour() }}) - past_hour_us as rest_us
    from aged

),

exposed as (

    select
        cohort_on,
        user_type,
        exposure
    from grown

    union all

    select
        rested.cohort_on,
        rested.user_type,
        {{ exposure('rested.users', 'rested.hours_old', 'rested.rest_us', 'lags.share', 'later.share') }} as exposure
    from rested
    left join lags
        on rested.hours_old = lags.lag_hours
    left join lags as later
        on rested.hours_old + 1 = later.lag_hours

),

exposures as (

    select
        cohort_on,
        user_type,
        -- One part that is not known makes the sum unknown.
        case when count(exposure) = count(*) then sum(exposure) end as exposure
    from exposed
    group by
        cohort_on,
        user_type

)

select
    cohorts.*,
    exposures.exposure::numeric(38, 12) as exposure,
    {{ utc_midnight('cohorts.cohort_on + 1') }} + {{ days(policy('viral_horizon_days')) }} <= build.as_of as is_mature
from cohorts
cross join build
inner join exposures
    on
        cohorts.cohort_on = exposures.cohort_on
        and cohorts.user_type = exposures.user_type
