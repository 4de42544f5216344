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

-- Everybody below a connector, once: with the nearest one above.
below as (

    select
        users.user_id,
        connectors.user_id as connector_id
    from connectors
    inner join users
        on connectors.user_id = users.inviter_id

    union all

    select
        users.user_id,
        below.connector_id
    from below
    inner join users
        on below.user_id = users.inviter_id
    where below.user_id not in (select connectors.user_id from connectors)

),

nearest as (

    select
        connector_id,
        count(*) as descendants
    from below
    group by connector_id

),

earned as (

    select
        below.connector_id,
        sum(revenue.revenue_cents) as revenue_cents
    from below
    inner join revenue
        on below.user_id = revenue.person_id
    group by below.connector_id

),

links as (

    select
        below.user_id,
        below.connector_id
    from below
    inner join connectors
        on below.user_id = connectors.user_id

),

-- Each connector with every connector above it, itself among them, whose is what is nearest to it.
lines as (

    select
        user_id,
        user_id as above_id
    from connectors

    union all

    select
        lines.user_id,
        links.connector_id as above_id
    from lines
    inner join links
        on lines.above_id = links.user_id

),

worth as (

    select
        lines.above_id as user_id,
        sum(nearest.descendants)::bigint as descendants,
        coalesce(sum(earned.revenue_cents), 0)::bigint as descendants_revenue_cents
    from lines
    inner join nearest
        on lines.user_id = nearest.connector_id
    left join earned
        on lines.user_id = earned.connector_id
    group by lines.above_id

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
