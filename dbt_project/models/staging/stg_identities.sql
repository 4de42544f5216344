with

source as (

    select * from {{ source('raw', 'identities') }}

),

renamed as (

    select
        event_id,
        anonymous_id,
        user_id,
        occurred_at,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
