{{
    config(
        indexes=[{'columns': ['user_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set matched = ref('int_joins_matched') %}

with recursive

joins as {{ not_materialized() }} (

    select * from {{ matched }}
    where mailbox_key <> inviter_mailbox_key

),

users as (

    select * from {{ ref('int_users') }}

),

shared_mailboxes as (

    select mailbox_key
    from users
    group by mailbox_key
    having count(*) > 1

),

-- Whoever invites has mostly joined before the invitee, so that no chain leads back. One that does passes through a
-- mailbox of several users, or through a join earlier than the inviter's own; and it comes in there and goes out.
suspects as (

    select distinct goes_out.inviter_mailbox_key as mailbox_key
    from joins as goes_out
    where
        goes_out.inviter_mailbox_key in (

            select comes_in.mailbox_key
            from joins as comes_in
            left join shared_mailboxes
                on comes_in.mailbox_key = shared_mailboxes.mailbox_key
            where
                comes_in.joined_at <= comes_in.inviter_joined_at
                or shared_mailboxes.mailbox_key is not null

        )

),

-- Everybody above a suspect: a chain that leads back to one passes through these alone.
above as (

    select mailbox_key
    from suspects

    union

    select joins.inviter_mailbox_key as mailbox_key
    from above
    cross join lateral (

        select known.inviter_mailbox_key
        from {{ matched }} as known
        where
            known.mailbox_key = above.mailbox_key
            and known.mailbox_key <> known.inviter_mailbox_key
        {{ looked_up('known.inviter_mailbox_key') }}

    ) as joins

),

numbered as (

    select
        mailbox_key,
        row_number() over (order by {{ by_code_point('mailbox_key') }})::integer as node
    from above

),

edges as (

    select
        joins.user_id,
        inviters.node as inviter_node,
        invitees.node as invitee_node,
        row_number() over (order by {{ by_code_point('joins.user_id') }})::integer as edge
    from numbered as invitees
    cross join lateral (

        select
            known.user_id,
            known.inviter_mailbox_key
        from {{ matched }} as known
        where
            known.mailbox_key = invitees.mailbox_key
            and known.mailbox_key <> known.inviter_mailbox_key
        {{ looked_up('known.user_id') }}

    ) as joins
    inner join numbered as inviters
        on joins.inviter_mailbox_key = inviters.mailbox_key

),

in_cycles as (

    select * from {{ edges_in_cycles('edges', 'edge', 'inviter_node', 'invitee_node') }}

)

select edges.user_id
from in_cycles
inner join edges
    on in_cycles.edge = edges.edge
