{# A table: the numbers of its loads are of one build. #}
{{ config(materialized='table', post_hook='analyze {{ this }}') }}

{{ config(materialized='table', post_hook='analyze {{ this }}') }}

with

source as (

    select * from {{ source('raw', 'exchange_rates') }}

),

-- Which rates may have changed: every version counts, not only the one that stg_exchange_rates shows.
rates as (

    select distinct
        currency,
        rate_on
    from source
    where load_id in ({{ new_loads('exchange_rates') }})

)

select * from rates
