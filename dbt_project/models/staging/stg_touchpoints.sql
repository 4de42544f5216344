with

source as (

    select * from {{ source('raw', 'touchpoints') }}

),

renamed as (

    select
        event_id,
        user_id,
        anonymous_id,
        occurred_at,
        channel,
        campaign_id,
        interaction,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
