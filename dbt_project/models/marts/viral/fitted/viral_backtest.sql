{{ config(indexes=[{'columns': ['replayed_on', 'scope'], 'unique': true}]) }}

with

replays as (

    select * from {{ source('fits', 'fit_viral_backtest') }}

),

compared as (

    select
        replayed_on,
        scope,
        cohort_users,
        net_joins,
        k_observed,
        maturity,
        k_said,
        low,
        high,
        k_turned_out,
        {{ ratio('k_said', 'k_turned_out') }} - 1 as relative_error,
        k_turned_out between low and high as is_within
    from replays

)

{{ unless_resting('compared') }}
