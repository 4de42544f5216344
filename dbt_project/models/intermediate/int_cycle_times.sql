{%- set horizon = days(policy('viral_horizon_days')) %}
{%- set quantiles = {'median': 0.5, 'p90': 0.9} %}
{%- set legs = {
    'cycle': 'joined_at - inviter_joined_at',
    'join_to_invite': 'sent_at - inviter_joined_at',
    'invite_to_join': 'joined_at - sent_at',
} %}

with

build as (

    select * from {{ ref('stg_build') }}

),

-- Of inviters who are of the horizon's age: of younger ones only the fast joins show.
joins as (

    select
        referrals.joined_at,
        referrals.sent_at,
        referrals.inviter_joined_at
    from {{ ref('fct_referrals') }} as referrals
    inner join build
        on
            referrals.inviter_joined_at <= build.as_of - {{ horizon }}
            and referrals.inviter_joined_at
            > build.as_of - {{ horizon }} - {{ days(policy('viral_lag_fit_days')) }}
    where referrals.is_within_horizon

),

durations as (

    {% for leg, duration in legs.items() %}
        select
            '{{ leg }}' as leg,
            {{ seconds(duration) }} / 86400 as days
        from joins
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

quantiles as (

    select
        leg,
        {% for quantile, share in quantiles.items() %}
            percentile_cont({{ share }}) within group (order by days)::numeric(38, 12) as {{ quantile }},
        {% endfor %}
        count(*) as measured
    from durations
    group by leg

),

metrics as (

    {% for quantile in quantiles %}
        select
            leg || '_days_{{ quantile }}' as metric,
            {{ quantile }} as value,
            measured
        from quantiles
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from metrics
