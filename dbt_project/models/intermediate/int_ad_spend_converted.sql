with

spend as (

    select * from {{ ref('stg_ad_spend') }}

),

rates as (

    select * from {{ ref('int_exchange_rates_by_day') }}

),

-- cost_cents is null where no rate is young enough: held out and counted, as revenue is.
converted as (

    select
        spend.spend_on,
        spend.channel,
        spend.campaign_id,
        spend.currency,
        round(
            spend.cost_cents
            * case when spend.currency = '{{ policy("reporting_currency") }}' then 1 else rates.rate end
        )::bigint as cost_cents
    from spend
    left join rates
        on
            spend.currency = rates.currency
            and spend.spend_on = rates.converted_on

)

select * from converted
