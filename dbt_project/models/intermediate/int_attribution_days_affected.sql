with

affected as (

    select * from {{ ref('int_journeys_affected') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

-- A conversion's day never changes, so the days to sum again are those of the affected conversions.
days as (

    select distinct conversions.converted_on as date
    from affected
    inner join conversions
        on affected.conversion_id = conversions.conversion_id

)

select * from days
