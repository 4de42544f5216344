{{ config(indexes=[{'columns': ['attribution_model', 'campaign_id'], 'unique': true}]) }}

with

by_day as (

    select * from {{ ref('attribution_by_campaign') }}

),

spend as (

    select * from {{ ref('int_ad_spend_converted') }}

),

models as (

    select * from {{ ref('int_attribution_models') }}

),

attributed as (

    select
        attribution_model,
        campaign_id,
        sum(conversions) as conversions,
        sum(signups) as signups,
        sum(revenue_cents)::bigint as revenue_cents
    from by_day
    group by
        attribution_model,
        campaign_id

),

cost as (

    select
        models.attribution_model,
        coalesce(spend.campaign_id, '(none)') as campaign_id,
        sum(spend.cost_cents)::bigint as cost_cents
    from spend
    cross join models
    where spend.cost_cents is not null
    group by
        models.attribution_model,
        coalesce(spend.campaign_id, '(none)')

),

joined as (

    select
        attribution_model,
        campaign_id,
        {{ roi_columns('cost', 'attributed') }}
    from cost
    full join attributed using (attribution_model, campaign_id)

)

select * from joined
