with

source as (

    select * from {{ source('ops', 'current_build') }}

),

renamed as (

    select
        build_id,
        as_of,
        {{ utc_day('as_of') }} as as_of_on,
        base_as_of,
        is_full,
        frozen_before
    from source

)

select * from renamed
