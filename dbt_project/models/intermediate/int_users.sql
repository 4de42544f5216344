{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'stg_users__new', 'key': ['user_id']}},
        indexes=[
            {'columns': ['user_id'], 'unique': true},
            {'columns': ['email_key']},
            {'columns': ['mailbox_key']},
            {'columns': ['invite_id']},
        ],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('stg_users__new') %}

with

users as (

    {% if is_incremental() %}

        -- One look-up each: a join would first find the version in force of every user there is.
        select found.*
        from (select distinct user_id from {{ affected }}) as changed
        cross join lateral (

            select known.*
            from {{ ref('stg_users') }} as known
            where known.user_id = changed.user_id
            order by known.user_id
            limit 1

        ) as found

    {% else %}

        select * from {{ ref('stg_users') }}

    {% endif %}

)

select
    user_id,
    email_key,
    mailbox_key,
    email_is_disposable,
    signed_up_at,
    {{ utc_day('signed_up_at') }} as joined_on,
    user_type,
    invite_id
from users
