with

headline as (

    select * from {{ ref('int_viral_headline') }}

),

intervals as (

    select * from {{ source('fits', 'fit_viral_intervals') }}
    where grain = 'headline'

),

told as (

    select
        headline.as_of,
        headline.period_start_on,
        headline.period_end_on,
        headline.cohorts::integer as cohorts,
        headline.users as cohort_users,
        headline.invites,
        headline.credited_joins,
        headline.net_joins,
        headline.invites_per_user,
        headline.conversion_per_invite,
        headline.k_observed,
        headline.k_gross,
        headline.k_net,
        headline.maturity,
        case when headline.users >= {{ policy('viral_min_users') }} then headline.k_adjusted end as viral_coefficient,
        case when headline.users >= {{ policy('viral_min_users') }} then intervals.k_low end as low,
        case when headline.users >= {{ policy('viral_min_users') }} then intervals.k_high end as high,
        {{ policy('viral_horizon_days') }}::integer as viral_horizon_days,
        {{ policy('viral_window_days') }}::integer as viral_window_days,
        {{ policy('viral_min_maturity') }}::numeric as viral_min_maturity,
        {{ policy('viral_min_users') }}::integer as viral_min_users,
        {{ policy('invite_window_days') }}::integer as invite_window_days,
        '{{ policy("invite_credit") }}' as invite_credit
    from headline
    left join intervals
        on true

)

{{ unless_resting('told') }}
