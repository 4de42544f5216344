{{
    config(meta={
        'description': 'Every user stands in one tree, once, one step below whoever brought them, in their tree; and every credited join of a user\'s is an edge of it.',
        'dagster': {'ref': {'name': 'viral_trees'}},
    })
}}

with

users as (

    select count(*) as users
    from {{ ref('int_users') }}

),

trees as (

    select
        coalesce(sum(users), 0) as users,
        count(*) as roots
    from {{ ref('viral_trees') }}

),

edges as (

    select count(*) as edges
    from {{ ref('fct_referrals') }}
    where
        rejected_reason is null
        and inviter_joined_at is not null

),

misplaced as (

    select count(*) as users
    from {{ ref('int_referrals') }} as users
    inner join {{ ref('int_referrals') }} as inviters
        on users.inviter_id = inviters.user_id
    where
        users.root_id <> inviters.root_id
        or users.generation <> inviters.generation + 1

)

select
    users.users,
    trees.users as users_in_trees,
    trees.roots,
    edges.edges,
    misplaced.users as misplaced
from users
cross join trees
cross join edges
cross join misplaced
where
    {{ viral_tracking_is_on() }}
    and (
        users.users <> trees.users
        or trees.roots + edges.edges <> users.users
        or misplaced.users > 0
    )
