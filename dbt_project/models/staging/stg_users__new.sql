{# A table: the numbers of its loads are of one build. #}
{{ config(materialized='table', post_hook='analyze {{ this }}') }}

with

source as {{ not_materialized() }} (

    select * from {{ source('raw', 'users') }}

),

-- Whose newest version may have changed: every version counts, not only the one that stg_users shows.
changed as (

    select distinct user_id
    from source
    where load_id in ({{ new_loads('users') }})

),

-- With all that any version of theirs ever said: what stood until now was one of them.
versions as (

    select distinct
        source.user_id,
        source.email_key,
        source.invite_id,
        {{ utc_day('source.signed_up_at') }} as joined_on
    from changed
    inner join source
        on changed.user_id = source.user_id

)

select * from versions
