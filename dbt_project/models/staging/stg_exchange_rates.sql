with

source as (

    select * from {{ source('raw', 'exchange_rates') }}

),

-- The newest version not after as_of; one without updated_at is older than all.
latest as (

    select distinct on (rate_on, currency) *
    from source
    where {{ is_visible("coalesce(updated_at, '-infinity')") }}
    order by
        rate_on,
        currency,
        updated_at desc nulls last,
        record_sha256 desc

),

renamed as (

    select
        rate_on,
        currency,
        rate,
        updated_at,
        load_id
    from latest
    where {{ is_not_after_as_of(utc_midnight('rate_on')) }}

)

select * from renamed
