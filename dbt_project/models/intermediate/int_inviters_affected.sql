{{
    config(
        indexes=[{'columns': ['inviter_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set joiners = ref('int_joiners_affected') %}
{%- set in_rings = ref('int_joins_in_rings') %}
{%- set matched = ref('int_joins_matched') %}

-- Nothing while viral tracking rests, and in a full build: there every join is judged anew.
{% if is_delta() and viral_tracking_is_on() %}

    with

    matched as {{ not_materialized() }} (

        select * from {{ matched }}

    ),

    standing as {{ not_materialized() }} (

        select * from {{ published('fct_referrals') }}

    ),

    affected as (

        select inviter_id
        from matched
        where user_id in (select changed.user_id from {{ joiners }} as changed)

        union

        -- Whose credit the join was until now.
        select inviter_id
        from standing
        where user_id in (select changed.user_id from {{ joiners }} as changed)

        union

        -- A new edge can close a ring of old ones, and the end of one can open it.
        select matched.inviter_id
        from {{ in_rings }} as in_rings
        inner join matched
            on in_rings.user_id = matched.user_id
        left join standing
            on in_rings.user_id = standing.user_id
        where standing.rejected_reason is distinct from 'ring'

        union

        select standing.inviter_id
        from standing
        left join {{ in_rings }} as in_rings
            on standing.user_id = in_rings.user_id
        where
            standing.rejected_reason = 'ring'
            and in_rings.user_id is null

    )

    select * from affected

{% else %}

    select inviter_id from {{ matched }}
    where false

{% endif %}
