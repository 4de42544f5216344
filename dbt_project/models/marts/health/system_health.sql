{%- set of_scorecard = [
    (
        'campaign_conversion', 'recent_campaign_conversion_rate', policy('campaign_conversion_rate_target'),
        policy('alert_conversion_rate_floor'), 'recipients'
    ),
    ('viral_coefficient', 'viral_coefficient', policy('viral_coefficient_target'), 'null', 'users'),
] %}
{%- set of_samples = [
    (
        'ai_content', 'ai_success_rate', '>=', policy('ai_success_target'), policy('ai_success_floor'),
        policy('content_breaker_min_jobs'), 'jobs'
    ),
    (
        'response_time', 'operations_p99_ms', '<', policy('performance_threshold_ms'), 'null',
        policy('operations_min_sample'), 'measurements'
    ),
    (
        'uptime', 'uptime', '>=', policy('uptime_target'), 'null', policy('error_budget_burn_minutes'), 'minutes'
    ),
] %}
{%- set wait = hours(policy('campaign_delivery_wait_hours')) %}

with

build as (

    select * from {{ ref('stg_build') }}

),

recipients as (

    select * from {{ ref('int_campaign_recipients') }}

),

scorecard as (

    select * from {{ ref('scorecard') }}

),

accuracy as (

    select * from {{ ref('attribution_accuracy') }}

),

integrations as (

    select * from {{ ref('integration_health') }}

),

samples as (

    select * from {{ ref('stg_metric_samples__latest') }}

),

sends as (

    select
        count(*) as sent,
        count(recipients.delivered_at) as delivered
    from build
    inner join recipients
        on
            recipients.sent_at <= build.as_of - {{ wait }}
            and recipients.sent_at > build.as_of - {{ wait }} - {{ days(policy('campaign_delivery_days')) }}

),

deliveries as (

    select
        'campaign_delivery' as component,
        case
            when sends.sent >= {{ policy('campaign_delivery_min_recipients') }}
                then {{ ratio('sends.delivered', 'sends.sent') }}
        end as value,
        '>=' as comparison,
        {{ policy('campaign_delivery_target') }}::numeric as healthy_at,
        {{ policy('campaign_delivery_floor') }}::numeric as critical_at,
        null::numeric as low,
        null::numeric as high,
        false as has_intervals,
        sends.sent as size,
        build.as_of as measured_at,
        sends.sent::text || ' recipients of the {{ policy("campaign_delivery_days") }} days until '
        || {{ told_at('build.as_of - ' ~ wait) }} || ', at least {{ policy("campaign_delivery_min_recipients") }}'
        || ' needed; each campaign in marts.campaign_performance' as evidence
    from sends
    cross join build

),

goals as (

    {% for component, metric, healthy_at, critical_at, unit in of_scorecard %}
        select
            '{{ component }}' as component,
            value,
            comparison,
            {{ healthy_at }}::numeric as healthy_at,
            {{ critical_at }}::numeric as critical_at,
            low,
            high,
            true as has_intervals,
            users as size,
            as_of as measured_at,
            coalesce(users, 0)::text || ' {{ unit }}; {{ metric }} in marts.scorecard' as evidence
        from scorecard
        where metric = '{{ metric }}'
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

attribution as (

    select
        'attribution' as component,
        scorecard.value,
        scorecard.comparison,
        {{ policy('attribution_accuracy_target') }}::numeric as healthy_at,
        {{ policy('attribution_accuracy_floor') }}::numeric as critical_at,
        accuracy.accuracy_low::numeric as low,
        accuracy.accuracy_high::numeric as high,
        true as has_intervals,
        accuracy.conversions::bigint as size,
        scorecard.as_of as measured_at,
        coalesce(accuracy.conversions, 0)::text || ' conversions with a survey; all in marts.attribution_accuracy'
            as evidence
    from scorecard
    left join accuracy
        on
            {{ is_headline_accuracy('accuracy') }}
    where scorecard.metric = 'attribution_accuracy'

),

neighbours as (

    select
        'integrations' as component,
        case
            when count(*) filter (where status <> 'no_data') > 0 then count(*) filter (where status = 'healthy')
        end as value,
        '>=' as comparison,
        count(*) filter (where status <> 'no_data') as healthy_at,
        case when count(*) filter (where status <> 'no_data') > 1 then 1 end as critical_at,
        null::numeric as low,
        null::numeric as high,
        false as has_intervals,
        count(*) filter (where status <> 'no_data') as size,
        max(as_of) as measured_at,
        string_agg(integration || ' ' || status, ', ' order by integration)
        || '; each in marts.integration_health' as evidence
    from integrations

),

services as (

    {% for component, metric, comparison, healthy_at, critical_at, least_size, unit in of_samples %}
        select
            '{{ component }}' as component,
            case when coalesce(samples.size, 0) >= {{ least_size }} then samples.value end as value,
            '{{ comparison }}' as comparison,
            {{ healthy_at }}::numeric as healthy_at,
            {{ critical_at }}::numeric as critical_at,
            samples.low,
            samples.high,
            false as has_intervals,
            samples.size,
            samples.measured_at,
            coalesce(
                'sample of ' || {{ told_at('samples.measured_at') }} || ', of ' || coalesce(samples.size, 0)::text
                || ' {{ unit }}, at least {{ least_size }} needed',
                'no sample within {{ policy("metric_max_age_hours") }} hours'
            ) || '; all of {{ metric }} in ops.metric_rollups' as evidence
        from build
        left join samples
            on samples.metric = '{{ metric }}'
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

components as (

    {% for part in ['deliveries', 'goals', 'attribution', 'neighbours', 'services'] %}
        select * from {{ part }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- The end of the interval that is nearest to health: what chance alone may do is no failure. Only what is better the
-- more there is of it has a floor.
surely as (

    select
        components.*,
        case
            when components.comparison in ('>', '>=') then greatest(components.value, components.high)
            else least(components.value, components.low)
        end as at_best
    from components

),

judged as (

    select
        surely.component,
        case
            when surely.value is null then 'no_data'
            when {{ is_met('surely', 'at_best', 'healthy_at') }} then 'healthy'
            -- Of a figure that has intervals, one without says too little for that.
            when surely.at_best < surely.critical_at and (surely.high is not null or not surely.has_intervals)
                then 'critical'
            else 'degraded'
        end as status,
        surely.value::numeric(38, 12) as value,
        surely.comparison,
        surely.healthy_at::numeric(38, 12) as healthy_at,
        surely.critical_at::numeric(38, 12) as critical_at,
        surely.low::numeric(38, 12) as low,
        surely.high::numeric(38, 12) as high,
        surely.size::bigint as size,
        surely.measured_at,
        surely.evidence,
        build.as_of
    from surely
    cross join build

)

select * from judged
