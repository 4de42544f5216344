{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['person_group', 'set_sha256'],
        indexes=[{'columns': ['person_group', 'set_sha256'], 'unique': true}, {'columns': ['build_id']}],
        pre_hook='{{ refuse_to_add_twice() }}',
    )
}}

with

changes as (

    {{ path_changes() }}

),

sets as (

    select
        changes.*,
        {{ channel_set('changes.path') }} as channel_set
    from changes

),

parts as (

    select
        person_group,
        {{ path_key('channel_set') }} as set_sha256,
        channel_set,
        sum(sign * (conversions + non_conversions)) as paths,
        sum(sign * conversions) as conversions,
        sum(sign * revenue_cents) as revenue_cents
    from sets
    group by
        person_group,
        channel_set

),

{{ kept_sums(
    ['person_group', 'set_sha256', 'channel_set'],
    {'paths': 'bigint', 'conversions': 'bigint', 'revenue_cents': 'bigint'},
) }}
