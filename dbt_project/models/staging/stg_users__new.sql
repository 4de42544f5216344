{# A table: the numbers of its loads are of one build. #}
{{ config(materialized='table', post_hook='analyze {{ this }}') }}

{{ config(materialized='table', post_hook='analyze {{ this }}') }}

with

source as (

    select * from {{ source('raw', 'users') }}

),

-- Whose newest version may have changed: every version counts, not only the one that stg_users shows.
users as (

    select distinct user_id
    from source
    where load_id in ({{ new_loads('users') }})

)

select * from users
