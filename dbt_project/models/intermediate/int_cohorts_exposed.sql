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
        as_of - {{ days(policy('viral_horizon_days')) }} - interval '1 hour' as all_grown_at
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
        hours.users * {{ microseconds('build.as_of - hours.joined_hour_at') }} - hours.past_hour_us as ages_us
    from hours
    cross join build
    where hours.joined_hour_at >= build.all_grown_at

),

aged as (

    select
        *,
        ages_us / (users * {{ microseconds_per_hour() }}) as hours_old,
        ages_us % (users * {{ microseconds_per_hour() }}) as past_hours_us
    from growing

),

exposed as (

    select
        cohort_on,
        user_type,
        exposure
    from grown

    union all

    select
        aged.cohort_on,
        aged.user_type,
        {{ exposure('aged.users', 'aged.hours_old', 'aged.past_hours_us', 'lags.share', 'later.share') }} as exposure
    from aged
    left join lags
        on aged.hours_old = lags.lag_hours
    left join lags as later
        on aged.hours_old + 1 = later.lag_hours

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
