{{ config(indexes=[{'columns': ['attribution_model', 'channel'], 'unique': true}]) }}

with

source as (

    select * from {{ source('fits', 'fit_credit_intervals') }}

)

select
    attribution_model,
    channel,
    conversions,
    conversions_low,
    conversions_high,
    channel_rank,
    rank_stability
from source
