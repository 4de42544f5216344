{{
    config(
        indexes=[{'columns': ['root_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}

with

affected as (

    select previous_root_id as root_id
    from {{ ref('int_referrals_affected') }}
    where previous_root_id is not null

    union

    select referrals.root_id
    from {{ ref('int_referrals_affected') }} as changed
    inner join {{ ref('int_referrals') }} as referrals
        on changed.user_id = referrals.user_id

)

select * from affected
{% if not viral_tracking_is_on() %}
    where false
{% endif %}
