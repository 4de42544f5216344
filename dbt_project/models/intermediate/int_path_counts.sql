{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='path_sha256',
        indexes=[{'columns': ['path_sha256'], 'unique': true}, {'columns': ['build_id']}],
        pre_hook='{{ refuse_to_add_twice() }}',
    )
}}

with

changes as (

    {{ path_changes() }}

),

parts as (

    select
        {{ path_key('path') }} as path_sha256,
        {{ told_path('path') }} as path,
        sum(sign * conversions) as conversions,
        sum(sign * non_conversions) as non_conversions,
        sum(sign * revenue_cents) as revenue_cents
    from changes
    group by
        1,
        2

),

{{ kept_sums(
    ['path_sha256', 'path'],
    {'conversions': 'bigint', 'non_conversions': 'bigint', 'revenue_cents': 'bigint'},
) }}
