with

source as (

    select * from {{ source('ops', 'metric_rollups') }}

),

renamed as (

    select bucket_at
    from source
    where
        metric = 'engine_up'
        and resolution = '1m'

)

select * from renamed
