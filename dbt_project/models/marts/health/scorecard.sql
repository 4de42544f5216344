{%- set period = policy('scorecard_period_days') %}
{%- set conversion_window = policy('campaign_conversion_window_days') %}
{%- set headline_days = policy('campaign_headline_days') %}

with

build as (

    select
        as_of,
        -- A period ends with the last day that as_of has seen something of; midnight closes whole days.
        {{ utc_day("as_of - interval '1 microsecond'") }} as last_on,
        as_of - {{ days(conversion_window) }} as matured_at,
        -- The latest cohort whose last member is as old as the horizon.
        {{ utc_day('as_of - ' ~ days(policy('viral_horizon_days'))) }} - 1 as last_cohort_on
    from {{ ref('stg_build') }}

),

cohorts as (

    select * from {{ ref('viral_coefficient_daily') }}
    {% if not viral_tracking_is_on() %}
        where false
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
        case
            when coalesce(sum(cohorts.cohort_users), 0) >= {{ policy('viral_min_users') }}
                then {{ ratio('sum(cohorts.credited_joins)', 'sum(cohorts.cohort_users)') }}
        end as value,
        {{ policy('viral_coefficient_target') }} as target,
        '>' as comparison,
        build.last_cohort_on - {{ policy('viral_window_days') }} + 1 as period_start_on,
        build.last_cohort_on as period_end_on
    from build
    left join cohorts
        on
            cohorts.cohort_on > build.last_cohort_on - {{ policy('viral_window_days') }}
            and cohorts.cohort_on <= build.last_cohort_on
    group by build.last_cohort_on

),

campaigns as (

    select
        'campaign_conversion_rate' as metric,
        {{ ratio('count(*) filter (where recipients.is_converted)', 'count(recipients.recipient_key)') }} as value,
        {{ policy('campaign_conversion_rate_target') }} as target,
        '>' as comparison,
        {{ utc_day('build.matured_at - ' ~ days(headline_days)) }} as period_start_on,
        {{ utc_day("build.matured_at - interval '1 microsecond'") }} as period_end_on
    from build
    left join recipients
        on recipients.delivered_at > build.matured_at - {{ days(headline_days) }}
    group by build.matured_at

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
            measured.truth_method = 'survey'
            and measured.attribution_model = '{{ headline_model() }}'
            and measured.calibration_id = {{ calibration().id or 0 }}
            and measured.is_latest

),

metrics as (

    select * from viral
    union all
    select * from campaigns
    union all
    select * from revenue
    union all
    select * from roi
    union all
    select * from accuracy

),

judged as (

    select
        metrics.metric,
        metrics.value::numeric(38, 12) as value,
        metrics.target::numeric(38, 12) as target,
        metrics.comparison,
        case
            when metrics.value is null then 'no_data'
            when metrics.value > metrics.target then 'met'
            when metrics.value = metrics.target and metrics.comparison = '>=' then 'met'
            else 'missed'
        end as status,
        metrics.period_start_on,
        metrics.period_end_on,
        build.as_of
    from metrics
    cross join build

)

select * from judged
