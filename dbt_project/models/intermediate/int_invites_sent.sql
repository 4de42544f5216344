{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='invite_id',
        indexes=[
            {'columns': ['invite_id'], 'unique': true},
            {'columns': ['inviter_id']},
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
        action_type = 'invite_sent'
        -- Invites of frozen days are as they were published (int_invites_counted).
        and {{ is_not_frozen(utc_day('occurred_at')) }}
        {% if is_incremental() %}
            and load_id in ({{ arrived }})
        {% endif %}
        {% if not viral_tracking_is_on() %}
            and false
        {% endif %}

),

arrived as (

    select
        coalesce(invite_id, event_id) as invite_id,
        event_id,
        actor_id as inviter_id,
        recipient_key,
        recipient_mailbox_key,
        recipient_is_disposable,
        channel,
        occurred_at as sent_at
    from actions

),

known as (

    {% if is_incremental() %}
        select * from {{ this }}
        where invite_id in (select arrived.invite_id from arrived)
    {% else %}
        select
            arrived.*,
            null::bigint as build_id
        from arrived
        where false
    {% endif %}

),

sends as (

    select * from arrived

    union all

    select
        invite_id,
        event_id,
        inviter_id,
        recipient_key,
        recipient_mailbox_key,
        recipient_is_disposable,
        channel,
        sent_at
    from known

),

-- An invite is one send; of several under one invite_id the earliest is the invite. The earliest of what was known
-- and what is new is the earliest of all, so a build reads only its new actions.
earliest as (

    select distinct on (invite_id) *
    from sends
    order by
        invite_id,
        sent_at,
        {{ by_code_point('event_id') }}

),

build as (

    select * from {{ ref('stg_build') }}

)

select
    earliest.invite_id,
    earliest.event_id,
    earliest.inviter_id,
    earliest.recipient_key,
    earliest.recipient_mailbox_key,
    earliest.recipient_is_disposable,
    earliest.channel,
    earliest.sent_at,
    known.inviter_id as previous_inviter_id,
    known.recipient_key as previous_recipient_key,
    build.build_id
from earliest
cross join build
left join known
    on earliest.invite_id = known.invite_id
