{{
    config(
        indexes=[{
            'columns': ['truth_method', 'attribution_model', 'calibration_id', 'period_end_on'],
            'unique': true,
        }],
    )
}}

with

source as (

    select * from {{ source('fits', 'fit_accuracy') }}

)

select
    truth_method,
    attribution_model,
    calibration_id,
    period_start_on,
    period_end_on,
    is_latest,
    conversions,
    conversions_of_none,
    conversions_without_touch,
    accuracy,
    accuracy_corrected,
    accuracy_low,
    accuracy_high,
    accuracy_ceiling,
    drift_line,
    hit_rate,
    status
from source
