{{
    config(
        indexes=[{'columns': ['cohort_on'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}

with

referrals as (

    select * from {{ ref('int_referrals') }}

),

affected as (

    -- Whatever day any version of a changed user named: they may have left that cohort.
    select joined_on as cohort_on
    from {{ ref('stg_users__new') }}

    union

    select referrals.cohort_on
    from {{ ref('int_referrals_affected') }} as changed
    inner join referrals
        on changed.user_id = referrals.user_id

    union

    select referrals.cohort_on
    from {{ ref('int_referrers_affected') }} as changed
    inner join referrals
        on changed.user_id = referrals.user_id

)

select * from affected
{% if not viral_tracking_is_on() %}
    where false
{% endif %}
