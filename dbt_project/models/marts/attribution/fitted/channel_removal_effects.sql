{{ config(indexes=[{'columns': ['method', 'markov_order', 'channel']}]) }}

with

source as (

    select * from {{ source('fits', 'fit_channel_effects') }}

)

select
    method,
    markov_order,
    channel,
    removal_effect,
    shapley_value,
    standard_error,
    conversions,
    revenue_cents,
    touch_conversions
from source
