{{
    config(meta={
        'description': 'Under every model the channels of a day cost what was spent that day, and the campaigns '
        'what was spent in all.',
        'dagster': {'ref': {'name': 'channel_roi'}},
    })
}}

with

spend as (

    select * from {{ ref('int_ad_spend_converted') }}
    where cost_cents is not null

),

models as (

    select * from {{ ref('int_attribution_models') }}

),

by_day as (

    select
        spend.spend_on as date,
        models.attribution_model,
        sum(spend.cost_cents) as cost_cents
    from spend
    cross join models
    where {{ is_not_frozen('spend.spend_on') }}
    group by
        spend.spend_on,
        models.attribution_model

),

channels as (

    select
        date,
        attribution_model,
        sum(cost_cents) as cost_cents
    from {{ ref('channel_roi') }}
    where
        cost_cents <> 0
        and {{ is_not_frozen('date') }}
    group by
        date,
        attribution_model

),

in_all as (

    select
        models.attribution_model,
        coalesce(sum(spend.cost_cents), 0) as cost_cents
    from models
    left join spend
        on true
    group by models.attribution_model

),

campaigns as (

    select
        attribution_model,
        sum(cost_cents) as cost_cents
    from {{ ref('campaign_roi') }}
    group by attribution_model

),

compared as (

    select
        date,
        attribution_model,
        coalesce(by_day.cost_cents, 0) as spent_cents,
        coalesce(channels.cost_cents, 0) as shown_cents
    from by_day
    full join channels using (date, attribution_model)

    union all

    select
        null::date as date,
        attribution_model,
        in_all.cost_cents as spent_cents,
        coalesce(campaigns.cost_cents, 0) as shown_cents
    from in_all
    full join campaigns using (attribution_model)

)

select *
from compared
where spent_cents is distinct from shown_cents
