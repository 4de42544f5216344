{%- set period = policy('scorecard_period_days') %}

with

build as (

    select
        as_of,
        -- A period ends with the last day that as_of has seen something of; midnight closes whole days.
        {{ utc_day_before('as_of') }} as last_on
    from {{ ref('stg_build') }}

),

headline as (

    select * from {{ ref('viral_headline') }}
    {% if not viral_tracking_is_on() %}
        where false
    {% endif %}

),

replayed as (

    select * from {{ ref('viral_backtest') }}
    where
        scope = 'headline'
        {% if not viral_tracking_is_on() %}
            and false
        {% endif %}

),

conversion_rates as (

    select * from {{ ref('int_campaign_conversion_rates') }}

),

channels as (

    select * from {{ ref('channel_roi') }}
    where attribution_model = '{{ headline_model() }}'

),

measured as (

    select * from {{ ref('attribution_accuracy') }}

),

viral as (

    select
        'viral_coefficient' as metric,
        headline.viral_coefficient as value,
        {{ policy('viral_coefficient_target') }} as target,
        '>' as comparison,
        coalesce(headline.period_start_on, build.last_on - {{ policy('viral_window_days') }} + 1) as period_start_on,
        coalesce(headline.period_end_on, build.last_on) as period_end_on,
        headline.low,
        headline.high,
        headline.maturity,
        headline.cohort_users as users
    from build
    left join headline
        on true

),

-- The latest days as each was seen when it ended, the present one as the headline is.
days_said as (

    select
        replayed.replayed_on as said_on,
        case when replayed.cohort_users >= {{ policy('viral_min_users') }} then replayed.k_said end as k
    from build
    inner join replayed
        on
            replayed.replayed_on > build.last_on - {{ policy('viral_days_above_target') }}
            and replayed.replayed_on < build.last_on

    union all

    select
        build.last_on as said_on,
        headline.viral_coefficient as k
    from build
    inner join headline
        on true

),

viral_days as (

    select
        'viral_days_above_target' as metric,
        case
            when count(days_said.k) = {{ policy('viral_days_above_target') }}
                then count(*) filter (where days_said.k > {{ policy('viral_coefficient_target') }})
        end::numeric(38, 12) as value,
        {{ policy('viral_days_above_target') }} as target,
        '>=' as comparison,
        build.last_on - {{ policy('viral_days_above_target') }} + 1 as period_start_on,
        build.last_on as period_end_on
    from build
    left join days_said
        on true
    group by build.last_on

),

campaigns as (

    select
        metric,
        value,
        {{ policy('campaign_conversion_rate_target') }} as target,
        '>' as comparison,
        period_start_on,
        period_end_on,
        low,
        high,
        maturity,
        users
    from conversion_rates

),

quarter as (

    select
        build.last_on - {{ period }} + 1 as period_start_on,
        build.last_on as period_end_on,
        sum(channels.cost_cents) as cost_cents,
        sum(channels.conversions) as conversions,
        coalesce(sum(channels.revenue_cents) filter (where channels.channel <> 'unattributed'), 0) as revenue_cents
    from build
    left join channels
        on
            channels.date > build.last_on - {{ period }}
            and channels.date <= build.last_on
    group by build.last_on

),

revenue as (

    select
        'attributed_revenue_cents' as metric,
        case when conversions > 0 then revenue_cents end::numeric(38, 12) as value,
        {{ policy('attributed_revenue_target_cents') }} as target,
        '>=' as comparison,
        period_start_on,
        period_end_on
    from quarter

),

roi as (

    select
        'marketing_roi_pct' as metric,
        {{ roi_pct('revenue_cents', 'cost_cents') }} as value,
        {{ policy('marketing_roi_target_pct') }} as target,
        '>' as comparison,
        period_start_on,
        period_end_on
    from quarter

),

-- Against what surveys say; no value where too few did.
accuracy as (

    select
        'attribution_accuracy' as metric,
        case when measured.status <> 'no_data' then measured.accuracy end::numeric(38, 12) as value,
        {{ policy('attribution_accuracy_target') }} as target,
        '>=' as comparison,
        build.last_on - {{ policy('attribution_accuracy_days') }} + 1 as period_start_on,
        build.last_on as period_end_on
    from build
    left join measured
        on
            {{ is_headline_accuracy('measured') }}

),

metrics as (

    select * from viral

    union all

    select * from campaigns

    {% for goal in ['viral_days', 'revenue', 'roi', 'accuracy'] %}
        union all
        select
            {{ goal }}.*,
            null::numeric as low,
            null::numeric as high,
            null::numeric as maturity,
            null::bigint as users
        from {{ goal }}
    {% endfor %}

),

judged as (

    select
        metrics.metric,
        metrics.value::numeric(38, 12) as value,
        metrics.target::numeric(38, 12) as target,
        metrics.comparison,
        {{ goal_status('metrics') }} as status,
        metrics.period_start_on,
        metrics.period_end_on,
        build.as_of,
        metrics.low::numeric(38, 12) as low,
        metrics.high::numeric(38, 12) as high,
        metrics.maturity::numeric(38, 12) as maturity,
        metrics.users
    from metrics
    cross join build

)

select * from judged
