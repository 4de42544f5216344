with

source as (

    select * from {{ source('ops', 'metric_samples') }}

),

build as (

    select * from {{ source('ops', 'current_build') }}

),

-- What an old one says is not known to hold any more.
latest as (

    select distinct on (source.metric) source.*
    from source
    inner join build
        on
            source.sampled_at <= build.started_at
            and source.sampled_at > build.started_at - {{ hours(policy('metric_max_age_hours')) }}
    order by
        source.metric,
        source.sampled_at desc

),

renamed as (

    select
        metric,
        sampled_at as measured_at,
        value::numeric as value,
        low::numeric as low,
        high::numeric as high,
        size
    from latest

)

select * from renamed
