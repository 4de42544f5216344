{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={'affected': {'relation': 'int_cohorts_affected', 'key': ['cohort_on']}},
        indexes=[{'columns': ['joined_hour_at'], 'unique': true}, {'columns': ['cohort_on']}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_cohorts_affected') %}

with

hours as (

    select
        cohort_on,
        joined_hour_at,
        sum(users)::bigint as users,
        sum(past_hour_us)::bigint as past_hour_us
    from {{ ref('int_joins_by_hour') }}
    {% if is_incremental() %}
        where cohort_on in (select changed.cohort_on from {{ affected }} as changed)
    {% endif %}
    group by
        cohort_on,
        joined_hour_at

)

{{ unless_resting('hours') }}
