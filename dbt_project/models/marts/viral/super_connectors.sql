{{ config(indexes=[{'columns': ['user_id'], 'unique': true}]) }}

with recursive

connectors as (

    select * from {{ ref('int_referrers') }}
    where all_credited_joins >= {{ policy('super_connector_threshold') }}

),

joins as (

    select * from {{ ref('fct_referrals') }}

),

users as (

    select * from {{ ref('int_referrals') }}

),

revenue as (

    select * from {{ ref('int_conversions') }}

),

rewards as (

    select
        joins.inviter_id as user_id,
        sum(joins.reward_cents) filter (where joins.is_net) as reward_due_cents,
        sum(joins.reward_cents) filter (where not joins.is_net) as reward_withheld_cents
    from joins
    inner join connectors
        on joins.inviter_id = connectors.user_id
    group by joins.inviter_id

),

numbered as (

    select
        joins.inviter_id as user_id,
        joins.joined_at,
        row_number() over (
            partition by joins.inviter_id
            order by joins.joined_at, {{ by_code_point('joins.user_id') }}
        ) as join_number
    from joins
    inner join connectors
        on joins.inviter_id = connectors.user_id
    where joins.rejected_reason is null

),

descendants as (

    select
        connectors.user_id,
        users.user_id as descendant_id
    from connectors
    inner join users
        on connectors.user_id = users.inviter_id

    union all

    select
        descendants.user_id,
        users.user_id as descendant_id
    from descendants
    inner join users
        on descendants.descendant_id = users.inviter_id

),

worth as (

    select
        descendants.user_id,
        count(*) as descendants,
        coalesce(sum(earned.revenue_cents), 0)::bigint as descendants_revenue_cents
    from descendants
    cross join lateral (

        select sum(revenue.revenue_cents) as revenue_cents
        from revenue
        where revenue.person_id = descendants.descendant_id

    ) as earned
    group by descendants.user_id

),

told as (

    select
        connectors.user_id,
        users.joined_at,
        numbered.joined_at as connected_at,
        connectors.all_invites as invites,
        connectors.all_credited_joins as credited_joins,
        connectors.all_net_joins as net_joins,
        {{ ratio('connectors.all_credited_joins', 'connectors.all_invites') }} as conversion_per_invite,
        worth.descendants,
        worth.descendants_revenue_cents,
        coalesce(rewards.reward_due_cents, 0)::bigint as reward_due_cents,
        coalesce(rewards.reward_withheld_cents, 0)::bigint as reward_withheld_cents
    from connectors
    inner join users
        on connectors.user_id = users.user_id
    inner join worth
        on connectors.user_id = worth.user_id
    inner join numbered
        on
            connectors.user_id = numbered.user_id
            and numbered.join_number = {{ policy('super_connector_threshold') }}
    inner join rewards
        on connectors.user_id = rewards.user_id

)

{{ unless_resting('told') }}
