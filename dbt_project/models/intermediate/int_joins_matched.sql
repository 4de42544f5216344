{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_joiners_affected', 'key': ['user_id']}},
        indexes=[
            {'columns': ['user_id'], 'unique': true},
            {'columns': ['inviter_id']},
            {'columns': ['mailbox_key']},
        ],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_joiners_affected') %}
{%- set window = days(policy('invite_window_days')) %}
{%- set latest_first = 'desc' if policy('invite_credit') == 'last' else 'asc' %}

with

everybody as {{ not_materialized() }} (

    select * from {{ ref('int_users') }}

),

users as (

    select * from everybody
    {% if is_incremental() %}
        where user_id in (select changed.user_id from {{ affected }} as changed)
    {% endif %}

),

invites as {{ not_materialized() }} (

    select * from {{ ref('int_invites_counted') }}

),

-- The invite that the user's own record names, at any age. A repeat stands for the one it repeats.
named as (

    select
        users.user_id,
        invites.counted_invite_id as invite_id
    from users
    inner join invites
        on
            users.invite_id = invites.invite_id
            and users.user_id <> invites.inviter_id
            and users.signed_up_at > invites.sent_at
    where invites.counted_invite_id is not null

),

-- Without one, a counted invite to the user's address, in the window.
found as (

    select distinct on (users.user_id)
        users.user_id,
        invites.invite_id
    from users
    inner join invites
        on
            users.email_key = invites.recipient_key
            and users.signed_up_at > invites.sent_at
            and users.signed_up_at <= invites.sent_at + {{ window }}
    left join named
        on users.user_id = named.user_id
    where
        invites.counted_invite_id = invites.invite_id
        and named.user_id is null
    order by
        users.user_id,
        invites.sent_at {{ latest_first }},
        {{ by_code_point('invites.event_id') }} {{ latest_first }}

),

matched as (

    select * from named

    union all

    select * from found

),

joins as (

    select
        users.user_id,
        users.signed_up_at as joined_at,
        users.mailbox_key,
        users.email_is_disposable,
        matched.invite_id,
        invites.sent_at,
        invites.inviter_id,
        inviters.signed_up_at as inviter_joined_at,
        inviters.mailbox_key as inviter_mailbox_key
    from matched
    inner join users
        on matched.user_id = users.user_id
    inner join invites
        on matched.invite_id = invites.invite_id
    left join everybody as inviters
        on invites.inviter_id = inviters.user_id

)

select * from joins
