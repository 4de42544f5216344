{{ config(indexes=[{'columns': ['segment_kind', 'segment', 'lever'], 'unique': true}]) }}

with

levers as (

    select
        segment_kind,
        segment,
        lever,
        elasticity,
        low,
        high,
        k_share,
        k,
        k_after
    from {{ source('fits', 'fit_viral_levers') }}

)

{{ unless_resting('levers') }}
