{{ config(indexes=[{'columns': ['converted_on']}]) }}

with

truth as (

    select * from {{ ref('stg_attribution_truth') }}

),

build as (

    select * from {{ ref('stg_build') }}

),

attributed as (

    select * from {{ ref('fct_attribution') }}

)

-- Of each conversion whose true channel is known, its touches and what each model gave them; one row without a touch.
select
    truth.method as truth_method,
    truth.channel as true_channel,
    attributed.conversion_id,
    attributed.person_id,
    attributed.converted_at,
    attributed.converted_on,
    attributed.touch_position,
    attributed.touched_at,
    attributed.channel,
    {% for model in attribution_models() %}
        attributed.{{ model }}_credit{{ ',' if not loop.last }}
    {% endfor %}
from truth
inner join attributed
    on truth.conversion_id = attributed.conversion_id
cross join build
where attributed.converted_on >= build.fit_from_on
