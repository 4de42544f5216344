{{ config(materialized='view') }}

with

build as (

    select * from {{ ref('stg_build') }}

),

models as (

    {% for model in attribution_models() %}
        select '{{ model }}' as attribution_model
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

-- data_driven says something of its own once a calibration has been promoted.
select models.attribution_model
from models
cross join build
where
    models.attribution_model <> 'data_driven'
    or build.calibration_id > 0
