{%- set kinds = {'all': "'all'", 'user_type': 'user_type', 'channel': 'channel'} %}
{%- set counts = ['opened_invites', 'joins_opened', 'joins_unopened', 'joins_near_horizon'] %}

with

build as (

    select as_of - {{ days(policy('viral_horizon_days')) }} - {{ lag_density_width() }} as grown_at
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

referrers as (

    select
        users.user_id,
        users.user_type,
        users.tree_group,
        referrers.channel,
        referrers.invites,
        referrers.opened_invites,
        referrers.opened_net_joins as joins_opened,
        referrers.net_joins - referrers.opened_net_joins as joins_unopened,
        referrers.net_joins_near_horizon as joins_near_horizon
    from users
    inner join {{ ref('int_referrers_by_channel') }} as referrers
        on users.user_id = referrers.user_id
    where referrers.invites + referrers.net_joins + referrers.net_joins_near_horizon > 0

),

-- A channel is free text of the feed: the ones with the most invites have a name here.
named_channels as (

    select channel
    from referrers
    group by channel
    order by
        sum(invites) desc,
        {{ by_code_point('channel') }}
    limit {{ policy('viral_lever_channels') }}

),

by_channel as (

    select
        referrers.user_id,
        referrers.user_type,
        referrers.tree_group,
        coalesce(named_channels.channel, 'other') as channel,
        sum(referrers.invites)::integer as sent_by_user,
        {% for count in counts %}
            sum(referrers.{{ count }})::integer as {{ count }}{{ ',' if not loop.last }}
        {% endfor %}
    from referrers
    left join named_channels
        on referrers.channel = named_channels.channel
    group by
        referrers.user_id,
        referrers.user_type,
        referrers.tree_group,
        coalesce(named_channels.channel, 'other')

),

by_user as (

    select
        user_id,
        user_type,
        tree_group,
        sum(sent_by_user)::integer as sent_by_user,
        {% for count in counts %}
            sum({{ count }})::integer as {{ count }}{{ ',' if not loop.last }}
        {% endfor %}
    from by_channel
    group by
        user_id,
        user_type,
        tree_group

),

counts as (

    {% for kind, segment in kinds.items() %}
        select
            '{{ kind }}' as segment_kind,
            {{ segment }} as segment,
            tree_group,
            sent_by_user,
            count(*) as users,
            {% for count in counts %}
                sum({{ count }})::bigint as {{ count }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ 'by_channel' if kind == 'channel' else 'by_user' }}
        group by
            {{ segment ~ ',' if kind != 'all' }}
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
        {% for count in counts %}
            0 as {{ count }}{{ ',' if not loop.last }}
        {% endfor %}
    from users
    group by tree_group

)

select * from counts
