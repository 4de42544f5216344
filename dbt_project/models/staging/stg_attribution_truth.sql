with

source as (

    select * from {{ source('raw', 'attribution_truth') }}

),

renamed as (

    select
        conversion_id,
        channel,
        method,
        occurred_at,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
