{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_cohorts_affected', 'key': ['cohort_on']}},
        indexes=[{'columns': ['cohort_on', 'joined_hour_at', 'user_type'], 'unique': true}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_cohorts_affected') %}

with

users as (

    select
        *,
        {{ utc_hour('joined_at') }} as joined_hour_at
    from {{ ref('int_referrals') }}
    {% if is_incremental() %}
        where cohort_on in (select changed.cohort_on from {{ affected }} as changed)
    {% endif %}

),

hours as (

    select
        cohort_on,
        joined_hour_at,
        user_type,
        count(*) as users,
        sum({{ microseconds('joined_at - joined_hour_at') }})::bigint as past_hour_us
    from users
    group by
        cohort_on,
        joined_hour_at,
        user_type

)

select * from hours
