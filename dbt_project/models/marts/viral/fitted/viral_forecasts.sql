{{ config(indexes=[{'columns': ['forecast_on', 'horizon_days'], 'unique': true}]) }}

with

forecasts as (

    select
        forecast_on,
        horizon_days,
        expected_joins,
        expected_referred_joins,
        low,
        high,
        k,
        came_joins,
        came_joins between low and high as is_within
    from {{ source('fits', 'fit_viral_forecasts') }}

)

{{ unless_resting('forecasts') }}
