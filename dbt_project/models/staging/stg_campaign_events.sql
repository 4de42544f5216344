with

source as (

    select * from {{ source('raw', 'campaign_events') }}

),

renamed as (

    select
        event_id,
        event_type,
        campaign_id,
        recipient_key,
        recipient_mailbox_key,
        occurred_at,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
