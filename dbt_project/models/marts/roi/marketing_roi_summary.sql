{{ config(indexes=[{'columns': ['date'], 'unique': true}]) }}

with

by_channel as (

    select * from {{ ref('attribution_by_channel') }}
    where
        attribution_model = '{{ headline_model() }}'
        and {{ is_not_frozen('date') }}

),

by_campaign as (

    select * from {{ ref('attribution_by_campaign') }}
    where
        attribution_model = '{{ headline_model() }}'
        and campaign_id <> '(none)'
        and conversions > 0

),

performance as (

    select * from {{ ref('campaign_performance') }}

),

revenue as (

    select
        date,
        (coalesce(sum(revenue_cents) filter (where channel <> 'unattributed'), 0) / 100)::numeric(20, 2) as revenue
    from by_channel
    group by date

),

campaigns as (

    select
        by_campaign.date,
        count(*) as campaigns,
        avg(performance.conversion_rate)::numeric(38, 12) as avg_conversion
    from by_campaign
    left join performance
        on by_campaign.campaign_id = performance.campaign_id
    group by by_campaign.date

),

summary as (

    select
        revenue.date,
        revenue.revenue,
        coalesce(campaigns.campaigns, 0) as campaigns,
        campaigns.avg_conversion
    from revenue
    left join campaigns
        on revenue.date = campaigns.date

)

{{ with_frozen('summary', 'date') }}
