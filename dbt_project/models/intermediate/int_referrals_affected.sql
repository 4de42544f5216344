{{
    config(
        indexes=[{'columns': ['user_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set changed_users = ref('stg_users__new') %}
{%- set joiners = ref('int_joiners_affected') %}
{%- set inviters = ref('int_inviters_affected') %}
{%- set users = ref('int_users') %}
{%- set judged = ref('fct_referrals') %}

-- Nothing in a full build: there everybody's place is found anew.
{% if is_delta() %}

    with recursive

    standing as {{ not_materialized() }} (

        select * from {{ standing('int_referrals') }}

    ),

    edges as {{ not_materialized() }} (

        select
            user_id,
            inviter_id
        from {{ judged }}
        where
            rejected_reason is null
            and inviter_joined_at is not null

    ),

    candidates as (

        select user_id from {{ changed_users }}

        union

        select user_id from {{ joiners }}

        union

        -- A ring that opens or closes changes joins of which nothing else has changed.
        select judged.user_id
        from {{ inviters }} as inviters
        inner join {{ judged }} as judged
            on inviters.inviter_id = judged.inviter_id

    ),

    -- Whose own edge, or record, is another one than before.
    changed as (

        select candidates.user_id
        from candidates
        left join {{ users }} as users
            on candidates.user_id = users.user_id
        left join edges
            on candidates.user_id = edges.user_id
        left join standing
            on candidates.user_id = standing.user_id
        where
            standing.inviter_id is distinct from edges.inviter_id
            or standing.joined_at is distinct from users.signed_up_at
            or standing.user_type is distinct from coalesce(users.user_type, 'unknown')

    ),

    -- And everybody below: their root and generation follow.
    affected as (

        select user_id from changed

        union

        select edges.user_id
        from affected
        inner join edges
            on affected.user_id = edges.inviter_id

    )

    select
        affected.user_id,
        standing.root_id as previous_root_id
    from affected
    left join standing
        on affected.user_id = standing.user_id

{% else %}

    select
        user_id,
        user_id as previous_root_id
    from {{ users }}
    where false

{% endif %}
