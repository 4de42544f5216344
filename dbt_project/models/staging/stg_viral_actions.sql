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
        invite_id,
        reward_cents,
        occurred_at,
        load_id
    from source
    where {{ is_visible('occurred_at') }}

)

select * from renamed
