{{
    config(
        indexes=[{'columns': ['inviter_id', 'recipient_key'], 'unique': true}, {'columns': ['recipient_key']}],
        post_hook='analyze {{ this }}',
    )
}}

with

sends as {{ not_materialized() }} (

    select * from {{ ref('int_invites_sent') }}

),

new_sends as (

    select * from sends
    where build_id = {{ this_build() }}

),

new_opens as (

    select * from {{ ref('int_invites_opened') }}
    where build_id = {{ this_build() }}

),

users as (

    select * from {{ ref('stg_users__new') }}

),

affected as (

    select
        inviter_id,
        recipient_key
    from new_sends

    union

    select
        previous_inviter_id,
        previous_recipient_key
    from new_sends
    where previous_inviter_id is not null

    union

    select
        inviter_id,
        recipient_key
    from new_opens
    where invite_id is null

    union

    select
        sends.inviter_id,
        sends.recipient_key
    from new_opens
    inner join sends
        on new_opens.invite_id = sends.invite_id

    union

    -- Whoever invited may have another mailbox now.
    select
        sends.inviter_id,
        sends.recipient_key
    from users
    inner join sends
        on users.user_id = sends.inviter_id

    union

    -- Whoever was invited may be a user now, or be one no more.
    select
        sends.inviter_id,
        sends.recipient_key
    from users
    inner join sends
        on users.email_key = sends.recipient_key

)

-- Nothing in a full build: there every invite is judged anew.
select * from affected
{% if not is_delta() %}
    where false
{% endif %}
