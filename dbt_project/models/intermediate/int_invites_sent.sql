{{ config(materialized='view') }}

with

actions as (

    select * from {{ ref('stg_viral_actions') }}

),

-- An invite is one send; of several under one invite_id the earliest is the invite.
sends as (

    select distinct on (coalesce(invite_id, event_id))
        coalesce(invite_id, event_id) as invite_id,
        event_id,
        actor_id as inviter_id,
        recipient_key,
        occurred_at as sent_at
    from actions
    where
        action_type = 'invite_sent'
        {% if not viral_tracking_is_on() %}
            and false
        {% endif %}
    order by
        coalesce(invite_id, event_id),
        occurred_at,
        {{ by_code_point('event_id') }}

)

select * from sends
