with

source as (

    select * from {{ source('raw', 'conversions') }}

),

renamed as (

    select
        conversion_id,
        user_id,
        occurred_at,
        conversion_type,
        revenue_cents,
        currency,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
