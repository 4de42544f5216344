with

source as (

    select * from {{ source('raw', 'ad_spend') }}

),

-- The newest version not after as_of; one without updated_at is older than all.
latest as (

    select distinct on (spend_on, channel, campaign_id) *
    from source
    where {{ is_visible("coalesce(updated_at, '-infinity')") }}
    order by
        spend_on,
        channel,
        campaign_id,
        updated_at desc nulls last,
        record_sha256 desc

),

renamed as (

    select
        spend_on,
        channel,
        campaign_id,
        cost_cents,
        impressions,
        clicks,
        currency,
        updated_at,
        load_id
    from latest
    where {{ is_not_after_as_of(utc_midnight('spend_on')) }}

)

select * from renamed
