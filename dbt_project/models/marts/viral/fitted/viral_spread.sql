{{ config(indexes=[{'columns': ['metric'], 'unique': true}]) }}

with

fitted as (

    select * from {{ source('fits', 'fit_viral_spread') }}

),

durations as (

    select * from {{ ref('int_cycle_times') }}

),

measures as (

    select
        metric,
        value::numeric(38, 12) as value,
        low::numeric(38, 12) as low,
        high::numeric(38, 12) as high,
        measured
    from fitted

    union all

    select
        metric,
        value,
        null::numeric as low,
        null::numeric as high,
        measured
    from durations

)

{{ unless_resting('measures') }}
