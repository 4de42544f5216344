{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='step_sha256',
        indexes=[{'columns': ['step_sha256'], 'unique': true}, {'columns': ['build_id']}],
        pre_hook='{{ refuse_to_add_twice() }}',
    )
}}

with

changes as (

    {{ path_changes() }}

),

-- Paths alike are counted first, then cut into steps.
counted as (

    select
        path,
        sum(sign * conversions) as conversions,
        sum(sign * non_conversions) as non_conversions
    from changes
    group by path

),

-- Each step from the last channels before it, as many as the highest order has: counts of lower orders are in these.
steps as (

    select
        counted.path[greatest(1, step.place - {{ highest_markov_order() }}):step.place - 1] as from_channels,
        'channel' as to_kind,
        counted.path[step.place] as to_channel,
        counted.conversions + counted.non_conversions as steps
    from counted
    cross join lateral generate_series(1, cardinality(counted.path)) as step (place)

    union all

    select
        {{ last_of_list('counted.path', highest_markov_order()) }} as from_channels,
        ending.to_kind,
        '' as to_channel,
        ending.steps
    from counted
    cross join lateral (
        values
        ('conversion', counted.conversions),
        ('null', counted.non_conversions)
    ) as ending (to_kind, steps)
    where ending.steps <> 0

),

parts as (

    select
        {{ path_key('from_channels || to_kind || to_channel') }} as step_sha256,
        from_channels,
        to_kind,
        to_channel,
        sum(steps) as steps
    from steps
    group by
        from_channels,
        to_kind,
        to_channel

),

{{ kept_sums(['step_sha256', 'from_channels', 'to_kind', 'to_channel'], {'steps': 'bigint'}) }}
