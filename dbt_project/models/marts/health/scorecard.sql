{%- set period = policy('scorecard_period_days') %}
{%- set conversion_window = policy('campaign_conversion_window_days') %}
{%- set headline_days = policy('campaign_headline_days') %}

with

build as (

    select
        as_of,
        -- A period ends with the last day that as_of has seen something of; midnight closes whole days.
        {{ utc_day_before('as_of') }} as last_on,
        as_of - {{ days(conversion_window) }} as matured_at
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

recipients as (

    select * from {{ ref('int_campaign_recipients_matured') }}
    where is_mature

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

by_campaign as (

    select
        recipients.campaign_id,
        count(*) as recipients,
        count(*) filter (where recipients.is_converted) as converted
    from build
    inner join recipients
        on recipients.delivered_at > build.matured_at - {{ days(headline_days) }}
    group by recipients.campaign_id

),

pooled as (

    select
        coalesce(sum(recipients), 0)::bigint as recipients,
        coalesce(sum(converted), 0)::bigint as converted
    from by_campaign

),

-- Whoever got one mailing did so for like reasons: campaigns are drawn, not recipients. Linearised variance of a ratio,
-- from whole numbers: the sum of squares is off(campaign) = converted * all recipients - all converted * recipients.
spread as (

    select
        count(*) as campaigns,
        sum((
            by_campaign.converted::numeric * pooled.recipients - pooled.converted::numeric * by_campaign.recipients
        ) ^ 2) as squares
    from by_campaign
    cross join pooled

),

rates as (

    select
        pooled.*,
        {{ ratio('pooled.converted', 'pooled.recipients') }} as value,
        case
            when spread.campaigns >= {{ policy('campaign_interval_min_campaigns') }}
                then
                    1.959963984540054
                    * sqrt(spread.squares::numeric(80, 40) * spread.campaigns / (spread.campaigns - 1))
                    / pooled.recipients ^ 2
        end as half_width
    from pooled
    cross join spread

),

campaigns as (

    select
        'campaign_conversion_rate' as metric,
        rates.value,
        {{ policy('campaign_conversion_rate_target') }} as target,
        '>' as comparison,
        {{ utc_day('build.matured_at - ' ~ days(headline_days)) }} as period_start_on,
        {{ utc_day_before('build.matured_at') }} as period_end_on,
        case when rates.half_width is not null then greatest(rates.value - rates.half_width, 0) end as low,
        case when rates.half_width is not null then least(rates.value + rates.half_width, 1) end as high,
        null::numeric as maturity,
        nullif(rates.recipients, 0) as users
    from build
    cross join rates

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
