with

source as (

    select * from {{ source('raw', 'integration_events') }}

),

renamed as (

    select
        event_id,
        integration,
        event_type,
        status,
        expected,
        actual,
        queue_depth,
        occurred_at,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
