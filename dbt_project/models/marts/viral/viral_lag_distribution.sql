{{ config(indexes=[{'columns': ['lag_hours'], 'unique': true}]) }}

with

lags as (

    select
        lag_hours,
        joins,
        share
    from {{ ref('int_viral_lags') }}

)

{{ unless_resting('lags') }}
