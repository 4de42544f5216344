{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_cohorts_affected', 'key': ['cohort_on']}},
        indexes=[{'columns': ['cohort_on', 'user_type', 'tree_group'], 'unique': true}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_cohorts_affected') %}

with

users as (

    select * from {{ ref('int_referrals') }}
    {% if is_incremental() %}
        where cohort_on in (select changed.cohort_on from {{ affected }} as changed)
    {% endif %}

),

referrers as (

    select * from {{ ref('int_referrers') }}

),

cohorts as (

    select
        users.cohort_on,
        users.user_type,
        users.tree_group,
        count(*) as users,
        count(*) filter (where users.generation = 0) as seeds,
        coalesce(sum(referrers.invites), 0)::bigint as invites,
        coalesce(sum(referrers.opened_invites), 0)::bigint as opened_invites,
        coalesce(sum(referrers.credited_joins), 0)::bigint as credited_joins,
        coalesce(sum(referrers.net_joins), 0)::bigint as net_joins
    from users
    left join referrers
        on users.user_id = referrers.user_id
    group by
        users.cohort_on,
        users.user_type,
        users.tree_group

)

select * from cohorts
