{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_referrers_affected', 'key': ['user_id']}},
        indexes=[{'columns': ['user_id', 'channel'], 'unique': true}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_referrers_affected') %}
{%- set horizon = days(policy('viral_horizon_days')) %}
{%- set half_width = lag_density_width() %}

with

users as (

    select
        user_id,
        signed_up_at as joined_at
    from {{ ref('int_users') }}
    {% if is_incremental() %}
        where user_id in (select changed.user_id from {{ affected }} as changed)
    {% endif %}

),

invites as {{ not_materialized() }} (

    select * from {{ ref('int_invites_counted') }}

),

sent as (

    select * from invites
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
        and inviter_joined_at is not null
        {% if is_incremental() %}
            and inviter_id in (select changed.user_id from {{ affected }} as changed)
        {% endif %}

),

invited as (

    select
        users.user_id,
        sent.channel,
        count(*) as all_invites,
        count(*) filter (where {{ is_within_horizon('sent.sent_at', 'users.joined_at') }}) as invites,
        count(sent.opened_at) filter (
            where {{ is_within_horizon('sent.sent_at', 'users.joined_at') }}
        ) as opened_invites
    from users
    inner join sent
        on users.user_id = sent.inviter_id
    group by
        users.user_id,
        sent.channel

),

brought as (

    select
        joins.inviter_id as user_id,
        invites.channel,
        count(*) as all_credited_joins,
        count(*) filter (where joins.is_net) as all_net_joins,
        count(*) filter (where joins.is_within_horizon) as credited_joins,
        count(*) filter (where joins.is_within_horizon and joins.is_net) as net_joins,
        count(*) filter (
            where joins.is_within_horizon and joins.is_net and invites.opened_at is not null
        ) as opened_net_joins,
        count(*) filter (
            where
            joins.is_net
            and joins.joined_at >= joins.inviter_joined_at + {{ horizon }} - {{ half_width }}
            and joins.joined_at <= joins.inviter_joined_at + {{ horizon }} + {{ half_width }}
        ) as net_joins_near_horizon
    from joins
    inner join invites
        on joins.invite_id = invites.invite_id
    group by
        joins.inviter_id,
        invites.channel

)

-- all_: at any age. Those near the horizon: on either side of it. The others: within it.
select
    user_id,
    channel,
    coalesce(invited.all_invites, 0)::integer as all_invites,
    coalesce(brought.all_credited_joins, 0)::integer as all_credited_joins,
    coalesce(brought.all_net_joins, 0)::integer as all_net_joins,
    coalesce(invited.invites, 0)::integer as invites,
    coalesce(invited.opened_invites, 0)::integer as opened_invites,
    coalesce(brought.credited_joins, 0)::integer as credited_joins,
    coalesce(brought.net_joins, 0)::integer as net_joins,
    coalesce(brought.opened_net_joins, 0)::integer as opened_net_joins,
    coalesce(brought.net_joins_near_horizon, 0)::integer as net_joins_near_horizon
from invited
full join brought using (user_id, channel)
