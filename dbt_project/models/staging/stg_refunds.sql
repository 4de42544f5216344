with

source as (

    select * from {{ source('raw', 'refunds') }}

),

renamed as (

    select
        refund_id,
        conversion_id,
        occurred_at,
        refund_cents,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
