{{
    config(
        indexes=[{'columns': ['user_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}

with

changed_users as (

    select * from {{ ref('stg_users__new') }}

),

pairs as (

    select * from {{ ref('int_invite_pairs_affected') }}

),

invites as (

    select counted.invite_id
    from ({{ of_pairs(ref('int_invites_counted'), 'pairs') }}) as counted

),

users as {{ not_materialized() }} (

    select * from {{ ref('int_users') }}

),

affected as (

    select user_id
    from changed_users

    union

    select users.user_id
    from pairs
    inner join users
        on pairs.recipient_key = users.email_key

    union

    select users.user_id
    from invites
    inner join users
        on invites.invite_id = users.invite_id

    {% if is_delta() %}

        union

        -- Of their inviter, too, mailbox and time of joining decide.
        select matched.user_id
        from changed_users
        inner join {{ standing('int_joins_matched') }} as matched
            on changed_users.user_id = matched.inviter_id

    {% endif %}

)

-- Nothing in a full build: there every join is matched anew.
select * from affected
{% if not is_delta() %}
    where false
{% endif %}
