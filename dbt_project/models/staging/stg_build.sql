with

source as (

    select * from {{ source('ops', 'current_build') }}

),

renamed as (

    select
        build_id,
        started_at,
        as_of,
        {{ utc_day('as_of') }} as as_of_on,
        base_as_of,
        is_full,
        frozen_before,
        calibration_id,
        -- Paths that end from this day on are fitted: midnight closes whole days. The base's first day beside it.
        {{ utc_day_before('as_of') }} - {{ policy('attribution_fit_days') }} + 1 as fit_from_on,
        {{ utc_day_before('base_as_of') }}
        - {{ policy('attribution_fit_days') }} + 1 as base_fit_from_on
    from source

)

select * from renamed
