{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={'affected': {'relation': 'int_roots_affected', 'key': ['root_id']}},
        indexes=[{'columns': ['root_id'], 'unique': true}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_roots_affected') %}

with

users as (

    select * from {{ ref('int_referrals') }}
    {% if is_incremental() %}
        where root_id in (select changed.root_id from {{ affected }} as changed)
    {% endif %}

),

levels as (

    select
        root_id,
        generation,
        count(*) as users,
        min(joined_at) filter (where generation = 0) as root_joined_at,
        max(joined_at) as last_joined_at
    from users
    group by
        root_id,
        generation

),

trees as (

    select
        root_id,
        min(root_joined_at) as root_joined_at,
        max(last_joined_at) as last_joined_at,
        sum(users)::bigint as users,
        max(generation) as depth,
        -- No generation is empty: each one was brought by the one before it.
        array_agg(users order by generation) as users_per_generation
    from levels
    group by root_id

)

{{ unless_resting('trees') }}
