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
        -- No field of the contract: what a sending system adds. Migration 0014 has an index on this very expression.
        nullif({{ json_text('properties', 'variant_id') }}, '') as variant_id,
        occurred_at,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
