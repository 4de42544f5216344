with

source as (

    select * from {{ source('raw', 'users') }}

),

-- The newest version not after as_of; one without updated_at is older than all.
latest as (

    select distinct on (user_id) *
    from source
    where {{ is_visible("coalesce(updated_at, '-infinity')") }}
    order by
        user_id,
        updated_at desc nulls last,
        record_sha256 desc

),

renamed as (

    select
        user_id,
        email_key,
        mailbox_key,
        email_is_disposable,
        signed_up_at,
        user_type,
        invite_id,
        updated_at,
        load_id
    from latest
    where {{ is_not_after_as_of('signed_up_at') }}

)

select * from renamed
