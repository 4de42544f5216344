{{
    config(severity='warn', meta={
        'description': 'Revenue and cost in a currency without a rate young enough are held out of the money marts: '
        'counted here, so that they are not forgotten. A rate that arrives brings them in.',
        'dagster': {'ref': {'name': 'int_conversions'}},
    })
}}

with

conversions as (

    select * from {{ ref('int_conversions') }}

),

spend as (

    select * from {{ ref('int_ad_spend_converted') }}

),

held_out as (

    select
        'conversions' as feed,
        currency,
        converted_on as date
    from conversions
    where revenue_cents is null

    union all

    select
        'ad_spend' as feed,
        currency,
        spend_on as date
    from spend
    where cost_cents is null

)

select
    feed,
    currency,
    count(*) as amounts,
    min(date) as first_on,
    max(date) as last_on
from held_out
group by
    feed,
    currency
