{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='event_id',
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['invite_id']},
            {'columns': ['recipient_key', 'inviter_id']},
            {'columns': ['build_id']},
        ],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set arrived = new_loads('viral_actions') %}

with

actions as (

    select * from {{ ref('stg_viral_actions') }}
    where
        action_type = 'invite_opened'
        {% if is_incremental() %}
            and load_id in ({{ arrived }})
        {% endif %}
        {% if not viral_tracking_is_on() %}
            and false
        {% endif %}

),

build as (

    select * from {{ ref('stg_build') }}

)

select
    actions.event_id,
    actions.invite_id,
    actions.actor_id as inviter_id,
    actions.recipient_key,
    actions.occurred_at as opened_at,
    build.build_id
from actions
cross join build
