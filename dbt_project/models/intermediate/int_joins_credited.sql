{%- set window = days(policy('invite_window_days')) %}
{%- set latest_first = 'desc' if policy('invite_credit') == 'last' else 'asc' %}

with

users as (

    select * from {{ ref('int_users') }}

),

invites as (

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

credited as (

    select * from named

    union all

    select * from found

),

joins as (

    select
        users.user_id,
        users.signed_up_at as joined_at,
        credited.invite_id,
        invites.inviter_id
    from credited
    inner join users
        on credited.user_id = users.user_id
    inner join invites
        on credited.invite_id = invites.invite_id

)

select * from joins
