{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={'affected': {'relation': 'int_invites_affected', 'key': ['invite_id']}},
        indexes=[
            {'columns': ['invite_id'], 'unique': true},
            {'columns': ['inviter_id']},
            {'columns': ['recipient_key']},
            {'columns': ['joined_user_id']},
        ],
        post_hook=[
            "{{ ensure_index('sent_at', where=\"outcome = 'pending'\") }}",
            {'sql': '{{ settle_table() }}', 'transaction': false},
        ],
    )
}}
{%- set affected = ref('int_invites_affected') %}
{%- set window = days(policy('invite_window_days')) %}

with

invites as (

    select * from {{ ref('int_invites_counted') }}
    where
        {{ is_not_frozen(utc_day('sent_at')) }}
        {% if is_incremental() %}
            and invite_id in (select changed.invite_id from {{ affected }} as changed)
        {% endif %}

),

judged as (

    select * from {{ ref('fct_referrals') }}
    {% if is_incremental() %}
        where invite_id in (select changed.invite_id from {{ affected }} as changed)
    {% endif %}

),

-- Several users can name one invite. The one that shows is credited before rejected, the earliest of them.
joins as (

    select distinct on (invite_id) *
    from judged
    order by
        invite_id,
        rejected_reason nulls first,
        joined_at,
        {{ by_code_point('user_id') }}

),

users as (

    select * from {{ ref('int_users') }}

),

-- Whoever has the address and joined in the window of an invite that nobody joined by.
joined_otherwise as (

    select distinct invites.invite_id
    from invites
    inner join users
        on
            invites.recipient_key = users.email_key
            and invites.sent_at < users.signed_up_at
            and invites.sent_at + {{ window }} >= users.signed_up_at

),

build as (

    select * from {{ ref('stg_build') }}

),

told as (

    select
        invites.invite_id,
        invites.event_id,
        invites.inviter_id,
        invites.recipient_key,
        invites.channel,
        invites.sent_at,
        invites.opened_at,
        joins.joined_at,
        joins.user_id as joined_user_id,
        case
            when invites.rejected_reason is not null then 'rejected'
            when joins.rejected_reason is not null then 'rejected'
            when joins.user_id is not null then 'credited'
            when joined_otherwise.invite_id is not null then 'rejected'
            when invites.sent_at >= build.as_of - {{ window }} then 'pending'
            else 'expired'
        end as outcome,
        coalesce(
            invites.rejected_reason,
            joins.rejected_reason,
            case
                when joins.user_id is null and joined_otherwise.invite_id is not null then 'other_inviter_credited'
            end
        ) as rejected_reason,
        coalesce(joins.is_burst, false) as is_burst,
        coalesce(joins.is_disposable, invites.recipient_is_disposable) as is_disposable,
        case when invites.counted_invite_id <> invites.invite_id then invites.counted_invite_id end
            as repeated_invite_id,
        {{ policy('invite_window_days') }}::integer as invite_window_days,
        '{{ policy("invite_credit") }}' as invite_credit
    from invites
    cross join build
    left join joins
        on invites.invite_id = joins.invite_id
    left join joined_otherwise
        on invites.invite_id = joined_otherwise.invite_id

)

{{ unless_resting('told', utc_day('sent_at')) }}
