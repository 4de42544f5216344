{%- set horizon = days(policy('viral_horizon_days')) %}
{%- set half_width = lag_density_width() %}
{%- set segment_kinds = {'all': 'everybody', 'user_type': 'user_type', 'channel': 'channel'} %}

with

build as (

    select as_of - {{ horizon }} - {{ half_width }} as grown_at
    from {{ ref('stg_build') }}

),

-- Of whom a lag a little beyond the horizon would show.
users as (

    select referrals.*
    from {{ ref('int_referrals') }} as referrals
    inner join build
        on
            referrals.joined_at <= build.grown_at
            and referrals.joined_at > build.grown_at - {{ days(policy('viral_lag_fit_days')) }}

),

invites as {{ not_materialized() }} (

    select * from {{ ref('int_invites_counted') }}

),

joins as (

    select * from {{ ref('fct_referrals') }}
    where is_net

),

-- A channel is free text of the feed: the ones with the most invites have a name here.
channels as (

    select invites.channel
    from invites
    where invites.rejected_reason is null
    group by invites.channel
    order by
        count(*) desc,
        {{ by_code_point('invites.channel') }}
    limit {{ policy('viral_lever_channels') }}

),

sent as (

    select
        users.user_id,
        'all' as everybody,
        users.user_type,
        users.tree_group,
        coalesce(channels.channel, 'other') as channel,
        1 as invites,
        case when invites.opened_at is not null then 1 else 0 end as opened_invites,
        0 as joins_opened,
        0 as joins_unopened,
        0 as joins_near_horizon
    from users
    inner join invites
        on
            users.user_id = invites.inviter_id
            and {{ is_within_horizon('invites.sent_at', 'users.joined_at') }}
    left join channels
        on invites.channel = channels.channel
    where invites.rejected_reason is null

),

brought as (

    select
        users.user_id,
        'all' as everybody,
        users.user_type,
        users.tree_group,
        coalesce(channels.channel, 'other') as channel,
        0 as invites,
        0 as opened_invites,
        case when joins.is_within_horizon and invites.opened_at is not null then 1 else 0 end as joins_opened,
        case when joins.is_within_horizon and invites.opened_at is null then 1 else 0 end as joins_unopened,
        case
            when joins.joined_at >= users.joined_at + {{ horizon }} - {{ half_width }} then 1
            else 0
        end as joins_near_horizon
    from users
    inner join joins
        on
            users.user_id = joins.inviter_id
            and joins.joined_at >= users.joined_at
            and joins.joined_at <= users.joined_at + {{ horizon }} + {{ half_width }}
    inner join invites
        on joins.invite_id = invites.invite_id
    left join channels
        on invites.channel = channels.channel

),

both_sides as (

    select * from sent

    union all

    select * from brought

),

{% for kind, segment in segment_kinds.items() %}

    by_{{ kind }} as (

        select
            {{ segment }} as segment,
            tree_group,
            user_id,
            sum(invites) as sent_by_user,
            sum(opened_invites) as opened_invites,
            sum(joins_opened) as joins_opened,
            sum(joins_unopened) as joins_unopened,
            sum(joins_near_horizon) as joins_near_horizon
        from both_sides
        group by
            {{ segment }},
            tree_group,
            user_id

    ),

{% endfor %}

counts as (

    {% for kind in segment_kinds %}
        select
            '{{ kind }}' as segment_kind,
            segment,
            tree_group,
            sent_by_user,
            count(*) as users,
            sum(opened_invites)::bigint as opened_invites,
            sum(joins_opened)::bigint as joins_opened,
            sum(joins_unopened)::bigint as joins_unopened,
            sum(joins_near_horizon)::bigint as joins_near_horizon
        from by_{{ kind }}
        group by
            segment,
            tree_group,
            sent_by_user

        union all

    {% endfor %}

    -- Whoever invited nobody has no segment of invites, and counts among all users.
    select
        'users' as segment_kind,
        'users' as segment,
        tree_group,
        0 as sent_by_user,
        count(*) as users,
        0 as opened_invites,
        0 as joins_opened,
        0 as joins_unopened,
        0 as joins_near_horizon
    from users
    group by tree_group

)

select * from counts
