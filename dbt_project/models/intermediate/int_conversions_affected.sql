{{ config(post_hook='analyze {{ this }}') }}

-- Empty in a full build: there every conversion is computed anew.
with

new_conversions as (

    select * from {{ ref('stg_conversions') }}
    where load_id in ({{ new_loads('conversions') }})

),

new_refunds as (

    select * from {{ ref('stg_refunds') }}
    where load_id in ({{ new_loads('refunds') }})

),

new_rates as (

    select * from {{ ref('stg_exchange_rates__new') }}
    where currency <> '{{ policy("reporting_currency") }}'

),

conversions as (

    select * from {{ ref('stg_conversions') }}

),

affected as (

    select conversion_id
    from new_conversions

    union

    select conversion_id
    from new_refunds

    union

    -- A rate serves its own day and those after it, while it is not too old.
    select converted.conversion_id
    from new_rates
    cross join lateral (

        select conversions.conversion_id
        from conversions
        where
            conversions.currency = new_rates.currency
            and conversions.occurred_at >= {{ utc_midnight('new_rates.rate_on') }}
            and conversions.occurred_at
            < {{ utc_midnight('new_rates.rate_on + ' ~ policy('fx_max_age_days') ~ ' + 1') }}

    ) as converted

)

select * from affected
