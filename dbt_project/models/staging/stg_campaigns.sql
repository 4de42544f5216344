with

source as (

    select * from {{ source('raw', 'campaigns') }}

),

-- The newest version not after as_of; one without updated_at is older than all.
latest as (

    select distinct on (campaign_id) *
    from source
    where {{ is_visible("coalesce(updated_at, '-infinity')") }}
    order by
        campaign_id,
        updated_at desc nulls last,
        record_sha256 desc

),

renamed as (

    select
        campaign_id,
        name as campaign_name,
        channel,
        status as campaign_status,
        owner_team,
        budget_cents,
        currency,
        starts_at,
        ends_at,
        created_at,
        updated_at,
        load_id
    from latest

)

select * from renamed
