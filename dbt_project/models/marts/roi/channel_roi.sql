{{ config(indexes=[{'columns': ['date', 'attribution_model', 'channel'], 'unique': true}]) }}

with

attributed as (

    select * from {{ ref('attribution_by_channel') }}
    where {{ is_not_frozen('date') }}

),

spend as (

    select * from {{ ref('int_ad_spend_converted') }}

),

models as (

    select * from {{ ref('int_attribution_models') }}

),

-- Rows with and without a campaign add.
cost as (

    select
        spend.spend_on as date,
        models.attribution_model,
        spend.channel,
        sum(spend.cost_cents)::bigint as cost_cents
    from spend
    cross join models
    where
        spend.cost_cents is not null
        and {{ is_not_frozen('spend.spend_on') }}
    group by
        spend.spend_on,
        models.attribution_model,
        spend.channel

),

joined as (

    select
        date,
        attribution_model,
        channel,
        {{ roi_columns('cost', 'attributed') }}
    from cost
    full join attributed using (date, attribution_model, channel)

)

{{ with_frozen('joined', 'date') }}
