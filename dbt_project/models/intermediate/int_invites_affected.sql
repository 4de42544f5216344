{{
    config(
        indexes=[{'columns': ['invite_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set window = days(policy('invite_window_days')) %}

-- Nothing while viral tracking rests, and in a full build: there every invite is told anew.
{% if is_delta() and viral_tracking_is_on() %}

    with

    invites as {{ not_materialized() }} (

        select * from {{ ref('int_invites_counted') }}

    ),

    pairs as (

        select * from {{ ref('int_invite_pairs_affected') }}

    ),

    joiners as (

        select * from {{ ref('int_joiners_affected') }}

    ),

    inviters as (

        select * from {{ ref('int_inviters_affected') }}

    ),

    users as {{ not_materialized() }} (

        select * from {{ ref('int_users') }}

    ),

    build as (

        select * from {{ ref('stg_build') }}

    ),

    affected as (

        select counted.invite_id
        from ({{ of_pairs(ref('int_invites_counted'), 'pairs', is_not_frozen(utc_day('known.sent_at'))) }}) as counted

        union

        -- What an inviter's joins are judged to be can change with any of them: rings, bursts.
        select judged.invite_id
        from inviters
        inner join {{ ref('fct_referrals') }} as judged
            on inviters.inviter_id = judged.inviter_id
        where {{ is_not_frozen(utc_day('judged.sent_at')) }}

        union

        -- Whose credit a join was until now.
        select published.invite_id
        from joiners
        inner join {{ published('fct_invites') }} as published
            on joiners.user_id = published.joined_user_id
        where {{ is_not_frozen(utc_day('published.sent_at')) }}

        union

        -- A join decides over every invite to its address.
        select invites.invite_id
        from joiners
        inner join users
            on joiners.user_id = users.user_id
        inner join invites
            on users.email_key = invites.recipient_key
        where {{ is_not_frozen(utc_day('invites.sent_at')) }}

        union

        -- The window of what was pending has closed.
        select published.invite_id
        from {{ published('fct_invites') }} as published
        where
            published.outcome = 'pending'
            and published.sent_at < (select build.as_of from build) - {{ window }}
            and {{ is_not_frozen(utc_day('published.sent_at')) }}

    )

    select * from affected

{% else %}

    select invite_id from {{ ref('int_invites_counted') }}
    where false

{% endif %}
