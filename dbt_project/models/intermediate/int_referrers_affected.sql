{{
    config(
        indexes=[{'columns': ['user_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}

with

affected as (

    select user_id from {{ ref('stg_users__new') }}

    union

    select inviter_id from {{ ref('int_invite_pairs_affected') }}

    union

    select inviter_id from {{ ref('int_inviters_affected') }}

)

select * from affected
