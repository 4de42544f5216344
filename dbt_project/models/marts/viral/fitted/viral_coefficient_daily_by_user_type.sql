{{ config(indexes=[{'columns': ['cohort_on', 'user_type'], 'unique': true}]) }}

with

exposed as (

    select * from {{ ref('int_cohorts_exposed') }}
    where {{ is_not_frozen('cohort_on') }}

),

intervals as (

    select * from {{ source('fits', 'fit_viral_intervals') }}
    where grain = 'day_by_user_type'

),

coefficients as (

    select
        exposed.cohort_on,
        exposed.user_type,
        exposed.users as cohort_users,
        exposed.invites,
        exposed.opened_invites,
        exposed.credited_joins,
        exposed.net_joins,
        {{ coefficients('exposed') }},
        intervals.k_low as low,
        intervals.k_high as high,
        exposed.is_mature
    from exposed
    left join intervals
        on
            exposed.cohort_on = intervals.cohort_on
            and exposed.user_type = intervals.user_type

)

{{ unless_resting('coefficients', 'cohort_on') }}
