{{ config(indexes=[{'columns': ['date'], 'unique': true}]) }}

with

joins as (

    select
        *,
        {{ utc_day('joined_at') }} as joined_on
    from {{ ref('fct_referrals') }}
    where {{ is_not_frozen(utc_day('joined_at')) }}

),

-- Held out of all money where no rate is known: the rest of a person's revenue counts.
revenue as (

    select
        person_id,
        coalesce(sum(revenue_cents), 0) as revenue_cents
    from {{ ref('int_conversions') }}
    group by person_id

),

granted as (

    select
        granted_on,
        sum(reward_cents)::bigint as rewards_granted_cents
    from {{ ref('int_rewards_granted') }}
    where {{ is_not_frozen('granted_on') }}
    group by granted_on

),

-- Revenue so far of whoever joined that day; what brings no margin yet may bring some later.
brought as (

    select
        joins.joined_on,
        count(*) filter (where joins.rejected_reason is null) as credited_joins,
        count(*) filter (where joins.is_net) as net_joins,
        coalesce(sum(joins.reward_cents) filter (where joins.is_net), 0)::bigint as rewards_due_cents,
        coalesce(sum(joins.reward_cents) filter (where not joins.is_net), 0)::bigint as rewards_withheld_cents,
        coalesce(sum(revenue.revenue_cents) filter (where joins.is_net), 0)::bigint as revenue_cents
    from joins
    left join revenue
        on joins.user_id = revenue.person_id
    group by joins.joined_on

),

incentives as (

    select
        coalesce(brought.joined_on, granted.granted_on) as date,
        coalesce(brought.credited_joins, 0) as credited_joins,
        coalesce(brought.net_joins, 0) as net_joins,
        coalesce(brought.rewards_due_cents, 0) as rewards_due_cents,
        coalesce(brought.rewards_withheld_cents, 0) as rewards_withheld_cents,
        coalesce(granted.rewards_granted_cents, 0) as rewards_granted_cents,
        coalesce(brought.revenue_cents, 0) as revenue_cents,
        round(coalesce(brought.revenue_cents, 0) * {{ policy('gross_margin_share') }}::numeric)::bigint as margin_cents
    from brought
    full join granted
        on brought.joined_on = granted.granted_on

),

returns as (

    select
        *,
        {{ roi_pct('margin_cents', 'rewards_due_cents') }} as reward_roi_pct
    from incentives

)

{{ unless_resting('returns', 'date') }}
