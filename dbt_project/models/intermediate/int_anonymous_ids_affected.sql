{{ config(post_hook='analyze {{ this }}') }}

-- Empty in a full build: there every touch is resolved anew.
with

identities as (

    select * from {{ ref('stg_identities') }}

),

affected as (

    select distinct anonymous_id
    from identities
    where load_id in ({{ new_loads('identities') }})

)

select * from affected
