with

drafts as (

    select * from {{ source('ops', 'content_drafts') }}
    where
        origin = 'ai'
        and status <> 'rejected'

),

calls as (

    select * from {{ source('ops', 'content_calls') }}

),

-- A job is paid for as a whole: by those of its variants that may bring something, for those that are not fit to send.
costs as (

    select
        job_id,
        sum(coalesce(cost_usd_micros, reserved_usd_micros))::bigint as cost_usd_micros
    from calls
    group by job_id

),

variants as (

    select
        drafts.variant_id,
        drafts.brief_id,
        costs.cost_usd_micros / count(*) over (partition by drafts.job_id) as cost_usd_micros
    from drafts
    inner join costs
        on drafts.job_id = costs.job_id

)

select * from variants
