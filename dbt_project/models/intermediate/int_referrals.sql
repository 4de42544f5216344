{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_referrals_affected', 'key': ['user_id']}},
        indexes=[
            {'columns': ['user_id'], 'unique': true},
            {'columns': ['root_id']},
            {'columns': ['inviter_id']},
            {'columns': ['cohort_on']},
            {'columns': ['build_id']},
        ],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_referrals_affected') %}
{%- set judged = ref('fct_referrals') %}

with recursive

users as (

    select * from {{ ref('int_users') }}
    {% if is_incremental() %}
        where user_id in (select changed.user_id from {{ affected }} as changed)
    {% endif %}

),

edges as (

    select
        user_id,
        inviter_id
    from {{ judged }}
    where
        rejected_reason is null
        and inviter_joined_at is not null
        {% if is_incremental() %}
            and user_id in (select changed.user_id from {{ affected }} as changed)
        {% endif %}

),

-- Nobody is above a root: whoever joined without an invite, or by one of someone who is no user.
placed as (

    select
        users.user_id,
        edges.inviter_id,
        {% if is_incremental() %}
            coalesce(inviters.root_id, users.user_id) as root_id,
            coalesce(inviters.generation + 1, 0) as generation
        {% else %}
            users.user_id as root_id,
            0 as generation
        {% endif %}
    from users
    left join edges
        on users.user_id = edges.user_id
    {% if is_incremental() %}
        -- A new user's place follows from the inviter's, which stands unless it is affected itself.
        left join {{ this }} as inviters
            on
                edges.inviter_id = inviters.user_id
                and inviters.user_id not in (select changed.user_id from {{ affected }} as changed)
        where
            edges.inviter_id is null
            or inviters.user_id is not null
    {% else %}
        where edges.inviter_id is null
    {% endif %}

    union all

    select
        below.user_id,
        placed.user_id as inviter_id,
        placed.root_id,
        placed.generation + 1 as generation
    from placed
    {% if is_incremental() %}
        inner join edges as below
            on placed.user_id = below.inviter_id
    {% else %}
        -- A join would read all edges for each generation, of which there can be thousands.
        cross join lateral (

            select known.user_id
            from {{ judged }} as known
            where
                known.inviter_id = placed.user_id
                and known.rejected_reason is null
                and known.inviter_joined_at is not null
            {{ looked_up('known.user_id') }}

        ) as below
    {% endif %}

),

build as (

    select * from {{ ref('stg_build') }}

)

select
    placed.user_id,
    placed.inviter_id,
    placed.root_id,
    placed.generation,
    users.signed_up_at as joined_at,
    users.joined_on as cohort_on,
    coalesce(users.user_type, 'unknown') as user_type,
    {{ tree_group('placed.root_id') }} as tree_group,
    build.build_id
from placed
inner join users
    on placed.user_id = users.user_id
cross join build
