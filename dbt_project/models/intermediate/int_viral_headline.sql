{%- set window = policy('viral_window_days') %}

with

build as (

    select
        *,
        -- Midnight closes whole days.
        {{ utc_day_before('as_of') }} as last_on
    from {{ ref('stg_build') }}

),

cohorts as (

    select
        cohort_on,
        {{ cohort_sums() }},
        case when count(exposure) = count(*) then sum(exposure) end as exposure
    from {{ ref('int_cohorts_exposed') }}
    group by cohort_on

),

-- The trailing cohorts of which enough shows by now.
chosen as (

    select cohorts.*
    from cohorts
    inner join build
        on
            cohorts.cohort_on > build.last_on - {{ window }}
            and cohorts.cohort_on <= build.last_on
    where cohorts.exposure >= {{ policy('viral_min_maturity') }} * cohorts.users

),

pooled as (

    select
        count(*) as cohorts,
        max(cohort_on) as last_cohort_on,
        coalesce(sum(users), 0)::bigint as users,
        coalesce(sum(invites), 0)::bigint as invites,
        coalesce(sum(credited_joins), 0)::bigint as credited_joins,
        coalesce(sum(net_joins), 0)::bigint as net_joins,
        sum(exposure)::numeric(38, 12) as exposure
    from chosen

)

select
    build.as_of,
    build.last_on - {{ window }} + 1 as period_start_on,
    coalesce(pooled.last_cohort_on, build.last_on) as period_end_on,
    pooled.cohorts,
    pooled.users,
    pooled.invites,
    pooled.credited_joins,
    pooled.net_joins,
    pooled.exposure,
    {{ coefficients('pooled') }}
from pooled
cross join build
