{{
    config(
        indexes=[{'columns': ['user_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}

with recursive

joins as (

    select * from {{ ref('int_joins_matched') }}
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

    select joins.mailbox_key
    from joins
    left join shared_mailboxes
        on joins.mailbox_key = shared_mailboxes.mailbox_key
    where joins.joined_at <= joins.inviter_joined_at or shared_mailboxes.mailbox_key is not null

    intersect

    select inviter_mailbox_key
    from joins

),

-- Everybody above each suspect, each once: a chain that leads back ends where it began.
above as (

    select
        suspects.mailbox_key as suspect,
        joins.inviter_mailbox_key as mailbox_key
    from suspects
    inner join joins
        on suspects.mailbox_key = joins.mailbox_key

    union

    select
        above.suspect,
        joins.inviter_mailbox_key as mailbox_key
    from above
    inner join joins
        on above.mailbox_key = joins.mailbox_key
    where above.mailbox_key <> above.suspect

),

-- Whose chain leads back: of those above them, the ones that are below them too.
members as (

    select
        suspect,
        suspect as mailbox_key
    from above
    where suspect = mailbox_key

    union

    select
        members.suspect,
        joins.mailbox_key
    from members
    inner join joins
        on members.mailbox_key = joins.inviter_mailbox_key
    inner join above
        on
            members.suspect = above.suspect
            and joins.mailbox_key = above.mailbox_key

)

select distinct joins.user_id
from joins
inner join members as inviters
    on joins.inviter_mailbox_key = inviters.mailbox_key
inner join members as invitees
    on
        joins.mailbox_key = invitees.mailbox_key
        and inviters.suspect = invitees.suspect
