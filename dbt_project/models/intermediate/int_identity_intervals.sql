{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_anonymous_ids_affected', 'key': ['anonymous_id']}},
        indexes=[{'columns': ['anonymous_id', 'valid_from'], 'unique': true}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_anonymous_ids_affected') %}

with

identities as (

    select * from {{ ref('stg_identities') }}
    {% if is_incremental() %}
        where anonymous_id in (select changed.anonymous_id from {{ affected }} as changed)
    {% endif %}

),

-- Of claims at one instant the greater event_id counts.
claims as (

    select distinct on (anonymous_id, occurred_at)
        anonymous_id,
        user_id,
        occurred_at
    from identities
    order by
        anonymous_id,
        occurred_at,
        {{ by_code_point('event_id') }} desc

),

-- A claim holds from its instant to the next one; the first also holds before it.
intervals as (

    select
        anonymous_id,
        user_id,
        case
            when row_number() over by_time = 1 then '-infinity'::timestamptz
            else occurred_at
        end as valid_from,
        coalesce(lead(occurred_at) over by_time, 'infinity'::timestamptz) as valid_to
    from claims
    window by_time as (partition by anonymous_id order by occurred_at)

)

select * from intervals
