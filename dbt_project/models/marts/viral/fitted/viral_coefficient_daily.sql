{{ config(indexes=[{'columns': ['cohort_on'], 'unique': true}]) }}

with

exposed as (

    select
        cohort_on,
        {{ cohort_sums() }},
        case when count(exposure) = count(*) then sum(exposure) end as exposure,
        bool_and(is_mature) as is_mature
    from {{ ref('int_cohorts_exposed') }}
    where {{ is_not_frozen('cohort_on') }}
    group by cohort_on

),

intervals as (

    select * from {{ source('fits', 'fit_viral_intervals') }}
    where grain = 'day'

),

coefficients as (

    select
        exposed.cohort_on,
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
        on exposed.cohort_on = intervals.cohort_on

)

{{ unless_resting('coefficients', 'cohort_on') }}
