{{ config(indexes=[{'columns': ['currency', 'converted_on'], 'unique': true}]) }}

with

rates as (

    select * from {{ ref('stg_exchange_rates') }}
    where currency <> '{{ policy("reporting_currency") }}'

),

-- A rate serves its own day and those after it until the next one, while it is not too old.
spans as (

    select
        currency,
        rate,
        rate_on,
        least(
            rate_on + {{ policy('fx_max_age_days') }},
            lead(rate_on) over (partition by currency order by rate_on) - 1
        ) as last_on
    from rates

),

by_day as (

    select
        spans.currency,
        spans.rate_on + days.number as converted_on,
        spans.rate
    from spans
    cross join lateral generate_series(0, spans.last_on - spans.rate_on) as days (number)

)

select * from by_day
