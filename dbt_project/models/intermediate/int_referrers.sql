{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_referrers_affected', 'key': ['user_id']}},
        indexes=[{'columns': ['user_id'], 'unique': true}],
        post_hook=[
            "{{ ensure_index('all_credited_joins', where='all_credited_joins >= ' ~ policy('super_connector_threshold')) }}",
            {'sql': '{{ settle_table() }}', 'transaction': false},
        ],
    )
}}
{%- set affected = ref('int_referrers_affected') %}

with

users as (

    select * from {{ ref('int_users') }}
    {% if is_incremental() %}
        where user_id in (select changed.user_id from {{ affected }} as changed)
    {% endif %}

),

invites as (

    select * from {{ ref('int_invites_counted') }}
    where
        rejected_reason is null
        {% if is_incremental() %}
            and inviter_id in (select changed.user_id from {{ affected }} as changed)
        {% endif %}

),

joins as (

    select * from {{ ref('fct_referrals') }}
    where
        rejected_reason is null
        {% if is_incremental() %}
            and inviter_id in (select changed.user_id from {{ affected }} as changed)
        {% endif %}

),

invited as (

    select
        users.user_id,
        count(*) as counted_invites,
        count(*) filter (where {{ is_within_horizon('invites.sent_at', 'users.signed_up_at') }}) as invites,
        count(invites.opened_at) filter (
            where {{ is_within_horizon('invites.sent_at', 'users.signed_up_at') }}
        ) as opened_invites
    from users
    inner join invites
        on users.user_id = invites.inviter_id
    group by users.user_id

),

brought as (

    select
        inviter_id as user_id,
        count(*) as all_credited_joins,
        count(*) filter (where is_net) as all_net_joins,
        count(*) filter (where is_within_horizon) as credited_joins,
        count(*) filter (where is_within_horizon and is_net) as net_joins
    from joins
    where inviter_joined_at is not null
    group by inviter_id

)

-- all_: at any age. The others: within the horizon of the user's own join.
select
    user_id,
    coalesce(invited.counted_invites, 0) as all_invites,
    coalesce(brought.all_credited_joins, 0) as all_credited_joins,
    coalesce(brought.all_net_joins, 0) as all_net_joins,
    coalesce(invited.invites, 0) as invites,
    coalesce(invited.opened_invites, 0) as opened_invites,
    coalesce(brought.credited_joins, 0) as credited_joins,
    coalesce(brought.net_joins, 0) as net_joins
from invited
full join brought using (user_id)
