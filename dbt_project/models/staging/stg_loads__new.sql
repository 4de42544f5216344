with

loads as (

    select * from {{ source('raw', 'loads') }}

),

build as (

    select * from {{ source('ops', 'current_build') }}

),

-- A published load may hold records of after its build's as_of, which have come due since.
new_loads as (

    select
        loads.load_id,
        loads.feed,
        loads.first_build_id < build.build_id as is_seen_before
    from loads
    inner join build
        on
            loads.claimed_build_id = build.build_id
            or loads.latest_at > build.base_as_of
    where
        loads.claimed_build_id is not null
        and loads.status in ('loaded', 'accepted')

)

select * from new_loads
