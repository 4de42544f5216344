{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='event_id',
        indexes=[{'columns': ['event_id'], 'unique': true}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set arrived = new_loads('viral_actions') %}

with

actions as (

    select * from {{ ref('stg_viral_actions') }}
    where
        action_type = 'reward_granted'
        {% if is_incremental() %}
            and load_id in ({{ arrived }})
        {% endif %}
        {% if not viral_tracking_is_on() %}
            and false
        {% endif %}

)

select
    event_id,
    actor_id as inviter_id,
    coalesce(reward_cents, 0) as reward_cents,
    {{ utc_day('occurred_at') }} as granted_on
from actions
