{{ config(indexes=[{'columns': ['week_on'], 'unique': true}]) }}

with

build as (

    select * from {{ ref('stg_build') }}

),

exposed as (

    select
        {{ week_of('cohort_on') }} as week_on,
        {{ cohort_sums() }},
        case when count(exposure) = count(*) then sum(exposure) end as exposure,
        bool_and(is_mature) as is_mature
    from {{ ref('int_cohorts_exposed') }}
    where {{ is_not_frozen(week_of('cohort_on')) }}
    group by {{ week_of('cohort_on') }}

),

intervals as (

    select * from {{ source('fits', 'fit_viral_intervals') }}
    where grain = 'week'

),

coefficients as (

    select
        exposed.week_on,
        exposed.users as cohort_users,
        exposed.invites,
        exposed.opened_invites,
        exposed.credited_joins,
        exposed.net_joins,
        {{ coefficients('exposed') }},
        intervals.k_low as low,
        intervals.k_high as high,
        -- A week that is not over has days of users still to come.
        exposed.is_mature and {{ utc_midnight('exposed.week_on + 7') }} <= build.as_of as is_mature
    from exposed
    cross join build
    left join intervals
        on exposed.week_on = intervals.cohort_on

)

{{ unless_resting('coefficients', 'week_on') }}
