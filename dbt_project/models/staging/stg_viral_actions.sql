with

source as (

    select * from {{ source('raw', 'viral_actions') }}

),

renamed as (

    select
        event_id,
        action_type,
        actor_id,
        recipient_key,
        recipient_mailbox_key,
        recipient_is_disposable,
        invite_id,
        reward_cents,
        -- No field of the contract: what a feed may add.
        coalesce(nullif(lower({{ stripped(json_text('properties', 'channel')) }}), ''), 'unknown') as channel,
        occurred_at,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
