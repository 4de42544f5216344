{%- set conversion_window = days(policy('campaign_conversion_window_days')) %}
{%- set headline = days(policy('campaign_headline_days')) %}
{%- set recent = days(policy('campaign_recent_days')) %}

with

build as (

    select
        as_of,
        as_of - {{ conversion_window }} as matured_at
    from {{ ref('stg_build') }}

),

recipients as (

    select * from {{ ref('int_campaign_recipients_matured') }}

),

-- Up to when conversions are known: with feeds that come once a day, of what came since nobody can tell yet.
seen as (

    select max(converted_at) as seen_at from {{ ref('int_conversions') }}

),

-- Whose window is over, and who tell how long the others may still take.
matured as (

    select
        recipients.campaign_id,
        recipients.is_converted,
        {{ microseconds('recipients.converted_at - recipients.delivered_at') }} as lag_us
    from build
    inner join recipients
        on
            recipients.is_mature
            and recipients.delivered_at > build.matured_at - {{ headline }}

),

young as (

    select
        recipients.campaign_id,
        recipients.converted_at is not null as is_converted,
        {{ microseconds('seen.seen_at - recipients.delivered_at') }} as age_us
    from seen
    inner join recipients
        on
            recipients.delivered_at > seen.seen_at - {{ recent }}
            and recipients.delivered_at <= seen.seen_at

),

durations as (

    select
        campaign_id,
        true as is_lag,
        is_converted,
        lag_us as duration_us
    from matured
    where is_converted

    union all

    select
        campaign_id,
        false as is_lag,
        is_converted,
        age_us as duration_us
    from young

),

-- For each age how many of the lags are no longer, and for each lag how many of the ages are no shorter.
compared as (

    select
        campaign_id,
        is_lag,
        is_converted,
        count(*) filter (where is_lag) over (
            order by duration_us range between unbounded preceding and current row
        ) as lags_up_to,
        count(*) filter (where not is_lag) over (
            order by duration_us range between current row and unbounded following
        ) as ages_from
    from durations

),

by_campaign as (

    select
        campaign_id,
        count(*) as recipients,
        count(*) filter (where is_converted) as converted
    from matured
    group by campaign_id

),

lags_by_campaign as (

    select
        campaign_id,
        sum(ages_from) as ages_from
    from compared
    where is_lag
    group by campaign_id

),

young_by_campaign as (

    select
        campaign_id,
        count(*) as recipients,
        count(*) filter (where is_converted) as converted,
        sum(lags_up_to) as exposure,
        sum(lags_up_to::numeric ^ 2) as exposure_squares
    from compared
    where not is_lag
    group by campaign_id

),

pooled as (

    select
        coalesce(sum(recipients), 0)::bigint as recipients,
        coalesce(sum(converted), 0)::bigint as converted,
        coalesce(sum(recipients::numeric ^ 2), 0) as recipients_squares,
        -- Campaigns of like sizes that would tell as much as these do (Kish), less one: the degrees of freedom.
        sum(recipients)::numeric(80, 40) ^ 2 / nullif(sum(recipients::numeric ^ 2), 0) - 1 as freedom
    from by_campaign

),

-- exposure: in recipients whose window is over, times all lags.
young_pooled as (

    select
        coalesce(sum(recipients), 0)::bigint as recipients,
        coalesce(sum(converted), 0)::bigint as converted,
        coalesce(sum(exposure), 0) as exposure,
        coalesce(sum(exposure_squares), 0) as exposure_squares,
        coalesce(sum(exposure ^ 2), 0) as campaign_squares
    from young_by_campaign

),

-- Whoever got one mailing did so for like reasons: campaigns are drawn, not recipients. How far each is off, from whole
-- numbers: converted * all recipients - all converted * recipients. Over the recipients of the others it is by how much
-- the rate would move without it (jackknife), which a large one among small ones needs. Likewise of the exposure, which
-- is known as well as the lags are.
spread as (

    select
        count(*) as campaigns,
        sum((
            by_campaign.converted::numeric * pooled.recipients - pooled.converted::numeric * by_campaign.recipients
        ) ^ 2) as squares,
        sum((
            (by_campaign.converted::numeric * pooled.recipients - pooled.converted::numeric * by_campaign.recipients)
            / nullif(pooled.recipients - by_campaign.recipients, 0)::numeric(80, 40)
        ) ^ 2) as moved_squares,
        sum((
            coalesce(lags_by_campaign.ages_from, 0)::numeric * pooled.converted
            - young_pooled.exposure * by_campaign.converted
        ) ^ 2) as exposure_squares
    from by_campaign
    left join lags_by_campaign
        on by_campaign.campaign_id = lags_by_campaign.campaign_id
    cross join pooled
    cross join young_pooled

),

-- Bessel's correction; null from too few campaigns.
known as (

    select
        spread.squares,
        spread.moved_squares,
        spread.exposure_squares,
        case
            when spread.campaigns >= {{ policy('campaign_interval_min_campaigns') }}
                then spread.campaigns::numeric(80, 40) / (spread.campaigns - 1)
        end as correction
    from spread

),

headline as (

    select
        'campaign_conversion_rate' as metric,
        {{ ratio('pooled.converted', 'pooled.recipients') }} as value,
        {{ student_95('pooled.freedom') }}
        * sqrt(known.moved_squares / known.correction) / pooled.recipients as half_width,
        null::numeric as maturity,
        pooled.recipients as users,
        {{ utc_day('build.matured_at - ' ~ headline) }} as period_start_on,
        {{ utc_day_before('build.matured_at') }} as period_end_on
    from build
    cross join pooled
    cross join known

),

-- By how much campaigns differ beyond what their sizes explain: a recent one is taken to differ as much.
between_campaigns as (

    select
        greatest(
            (
                known.squares * known.correction / nullif(pooled.recipients, 0)::numeric ^ 2
                - pooled.converted::numeric(80, 40) * (pooled.recipients - pooled.converted)
                / nullif(pooled.recipients, 0)
            ) / nullif(pooled.recipients_squares, 0),
            0 * known.correction
        ) as variance
    from pooled
    cross join known

),

estimated as (

    select
        young_pooled.*,
        pooled.converted as lags,
        pooled.freedom,
        between_campaigns.variance as campaign_variance,
        known.exposure_squares * known.correction as lag_squares,
        young_pooled.converted::numeric(80, 40) * pooled.converted / nullif(young_pooled.exposure, 0) as rate
    from young_pooled
    cross join pooled
    cross join known
    cross join between_campaigns

),

recently as (

    select
        'recent_campaign_conversion_rate' as metric,
        case
            when estimated.exposure >= {{ policy('campaign_recent_min_recipients') }} * estimated.lags::numeric
                then {{ ratio('estimated.converted::numeric * estimated.lags', 'estimated.exposure') }}
        end as value,
        {{ student_95('estimated.freedom') }} * sqrt(
            (
                estimated.campaign_variance * estimated.campaign_squares
                + greatest(
                    estimated.rate * estimated.exposure * estimated.lags
                    - estimated.rate ^ 2 * estimated.exposure_squares,
                    0
                )
                + estimated.rate ^ 2 * estimated.lag_squares / nullif(estimated.lags, 0)::numeric ^ 2
            ) / nullif(estimated.exposure, 0) ^ 2
        ) as half_width,
        {{ ratio('estimated.exposure', 'estimated.recipients::numeric * estimated.lags') }} as maturity,
        estimated.recipients as users,
        {{ utc_day('coalesce(seen.seen_at, build.as_of) - ' ~ recent) }} as period_start_on,
        {{ utc_day_before('coalesce(seen.seen_at, build.as_of)') }} as period_end_on
    from build
    cross join seen
    cross join estimated

),

rates as (

    select * from headline

    union all

    select * from recently

),

bounded as (

    select
        metric,
        value,
        case
            when value is not null and half_width is not null then greatest(value - half_width, 0)
        end::numeric(38, 12) as low,
        case
            when value is not null and half_width is not null then greatest(value, least(value + half_width, 1))
        end::numeric(38, 12) as high,
        maturity,
        nullif(users, 0) as users,
        period_start_on,
        period_end_on
    from rates

)

select * from bounded
