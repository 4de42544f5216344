{%- set goals = [
    'viral_days_above_target', 'campaign_conversion_rate', 'marketing_roi_pct', 'attributed_revenue_cents'
] %}
{%- set of_service = [
    (
        'response_time_p99_ms', 'operations_p99_ms', policy('performance_threshold_ms'), '<',
        policy('operations_min_sample'), hours(policy('metric_max_age_hours')), 'measurements'
    ),
    (
        'uptime', 'uptime', policy('uptime_target'), '>=',
        policy('error_budget_burn_minutes'), minutes('samples.size'), 'minutes'
    ),
] %}
{%- set critical_free = hours(policy('critical_free_hours')) %}

with

build as (

    select * from {{ ref('stg_build') }}

),

scorecard as (

    select * from {{ ref('scorecard') }}

),

integrations as (

    select * from {{ ref('integration_health') }}

),

samples as (

    select * from {{ ref('stg_metric_samples__latest') }}

),

minutes as (

    select * from {{ ref('stg_minutes_watched') }}

),

incidents as (

    select * from {{ ref('stg_alert_incidents') }}
    where severity = 'critical'

),

headline as (

    select * from scorecard
    where metric = 'viral_coefficient'

),

business as (

    select
        scorecard.metric as criterion,
        scorecard.value,
        scorecard.target,
        scorecard.comparison,
        scorecard.period_start_on,
        scorecard.period_end_on,
        concat_ws(
            ', ',
            case when scorecard.metric = 'viral_days_above_target' then 'K ' || {{ told('headline.value') }} end,
            '95 % interval ' || {{ told('coalesce(scorecard.low, headline.low)') }}
            || ' to ' || {{ told('coalesce(scorecard.high, headline.high)') }},
            coalesce(scorecard.users, headline.users)::text
            || case scorecard.metric when 'campaign_conversion_rate' then ' recipients' else ' users' end,
            case scorecard.metric
                when 'viral_days_above_target' then 'each day in marts.viral_backtest'
                when 'campaign_conversion_rate' then 'each campaign in marts.campaign_performance'
                else 'each day and channel in marts.channel_roi'
            end
        ) as evidence
    from scorecard
    left join headline
        on scorecard.metric = 'viral_days_above_target'
    where scorecard.metric in ('{{ goals | join("', '") }}')

),

-- From few measurements, or minutes, it is no more than luck.
services as (

    {% for criterion, metric, target, comparison, least_size, covered, unit in of_service %}
        select
            '{{ criterion }}' as criterion,
            samples.value,
            {{ target }}::numeric as target,
            '{{ comparison }}' as comparison,
            {{ utc_day('samples.measured_at - ' ~ covered) }} as period_start_on,
            {{ utc_day_before('samples.measured_at') }} as period_end_on,
            coalesce(
                'sample of ' || {{ told_at('samples.measured_at') }} || ', of ' || samples.size::text || ' {{ unit }}',
                'no sample of {{ least_size }} {{ unit }}'
            ) || '; all in ops.metric_rollups' as evidence
        from build
        left join samples
            on
                samples.metric = '{{ metric }}'
                and samples.value is not null
                and samples.size >= {{ least_size }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- That nobody told of an incident means something only where somebody looked all the time.
watched as (

    select
        build.started_at - {{ critical_free }} as since_at,
        build.started_at as until_at,
        count(minutes.bucket_at)
        >= 60 * {{ policy('critical_free_hours') }} * {{ policy('critical_free_min_watched') }} as is_watched
    from build
    left join minutes
        on
            minutes.bucket_at >= build.started_at - {{ critical_free }}
            and minutes.bucket_at < build.started_at
    group by build.started_at

),

counted as (

    select
        watched.since_at,
        watched.until_at,
        watched.is_watched,
        count(incidents.incident_id) as incidents,
        string_agg(distinct incidents.rule, ', ') as rules
    from watched
    left join incidents
        on incidents.closed_at is null or incidents.closed_at > watched.since_at
    group by
        watched.since_at,
        watched.until_at,
        watched.is_watched

),

critical as (

    select
        'critical_incidents' as criterion,
        case when is_watched or incidents > 0 then incidents end as value,
        0 as target,
        '<=' as comparison,
        case when is_watched or incidents > 0 then {{ utc_day('since_at') }} end as period_start_on,
        case when is_watched or incidents > 0 then {{ utc_day_before('until_at') }} end as period_end_on,
        case
            when incidents > 0 then 'open since ' || {{ told_at('since_at') }} || ': ' || rules
            when is_watched then 'none open since ' || {{ told_at('since_at') }}
            else 'not watched for {{ policy("critical_free_hours") }} hours'
        end || '; each in ops.alert_incidents' as evidence
    from counted

),

passing as (

    select
        count(*) filter (where integrations.status = 'healthy') as healthy,
        count(*) filter (where integrations.status = 'failing') as failing,
        count(*) as integrations,
        string_agg(integrations.integration || ' ' || integrations.status, ', ' order by integrations.integration)
            as told
    from integrations

),

neighbours as (

    select
        'integrations_passing' as criterion,
        case when passing.failing > 0 or passing.healthy = passing.integrations then passing.healthy end as value,
        passing.integrations as target,
        '>=' as comparison,
        {{ utc_day('build.as_of - ' ~ days(policy('integration_days'))) }} as period_start_on,
        {{ utc_day_before('build.as_of') }} as period_end_on,
        passing.told || '; each in marts.integration_health' as evidence
    from build
    cross join passing

),

criteria as (

    {% for part in ['business', 'services', 'critical', 'neighbours'] %}
        select * from {{ part }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

judged as (

    select
        criteria.criterion,
        criteria.value::numeric(38, 12) as value,
        criteria.target::numeric(38, 12) as target,
        criteria.comparison,
        {{ goal_status('criteria') }} as status,
        criteria.period_start_on,
        criteria.period_end_on,
        criteria.evidence,
        build.as_of
    from criteria
    cross join build

)

select * from judged
