with

source as (

    select * from {{ source('ops', 'alert_incidents') }}

),

build as (

    select * from {{ source('ops', 'current_build') }}

),

renamed as (

    select
        source.incident_id,
        source.rule,
        source.severity,
        source.opened_at,
        case when source.closed_at <= build.started_at then source.closed_at end as closed_at
    from source
    inner join build
        on source.opened_at <= build.started_at

)

select * from renamed
