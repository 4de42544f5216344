{{ config(indexes=[{'columns': ['generation'], 'unique': true}]) }}

with

users as (

    select
        generation,
        count(*) as users
    from {{ ref('int_referrals') }}
    group by generation

),

generations as (

    select
        users.generation,
        users.users,
        coalesce(next_ones.users, 0) as brought,
        {{ ratio('coalesce(next_ones.users, 0)', 'users.users') }} as realised_k
    from users
    left join users as next_ones
        on users.generation + 1 = next_ones.generation

)

{{ unless_resting('generations') }}
