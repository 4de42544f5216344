{{ config(indexes=[{'columns': ['invite_id'], 'unique': true}]) }}
{%- set window = days(policy('invite_window_days')) %}

with recursive

sends as (

    select * from {{ ref('int_invites_sent') }}

),

users as (

    select * from {{ ref('int_users') }}

),

first_joins as (

    select
        email_key,
        min(signed_up_at) as first_joined_at
    from users
    group by email_key

),

judged as (

    select
        sends.*,
        case
            when inviters.email_key = sends.recipient_key then 'self'
            when first_joins.first_joined_at <= sends.sent_at then 'already_a_user'
        end as reason
    from sends
    left join users as inviters
        on sends.inviter_id = inviters.user_id
    left join first_joins
        on sends.recipient_key = first_joins.email_key

),

eligible as (

    select * from judged
    where reason is null

),

numbered as (

    select
        eligible.*,
        row_number() over (
            partition by eligible.inviter_id, eligible.recipient_key
            order by eligible.sent_at, {{ by_code_point('eligible.event_id') }}
        ) as send_number,
        count(*) over (partition by eligible.inviter_id, eligible.recipient_key) as send_count
    from eligible

),

repeated as (

    select * from numbered
    where send_count > 1

),

-- The first send of an inviter to a recipient counts; one within the window of the last counted one
-- repeats it; one after that counts anew. So each send must know the counted one before it.
chained as (

    select
        invite_id,
        inviter_id,
        recipient_key,
        send_number,
        invite_id as counted_invite_id,
        sent_at as counted_at
    from repeated
    where send_number = 1

    union all

    select
        repeated.invite_id,
        repeated.inviter_id,
        repeated.recipient_key,
        repeated.send_number,
        case
            when repeated.sent_at <= chained.counted_at + {{ window }} then chained.counted_invite_id
            else repeated.invite_id
        end as counted_invite_id,
        case
            when repeated.sent_at <= chained.counted_at + {{ window }} then chained.counted_at
            else repeated.sent_at
        end as counted_at
    from chained
    inner join repeated
        on
            chained.inviter_id = repeated.inviter_id
            and chained.recipient_key = repeated.recipient_key
            and chained.send_number + 1 = repeated.send_number

),

verdicts as (

    select
        judged.*,
        case when judged.reason is null then coalesce(chained.counted_invite_id, judged.invite_id) end
            as counted_invite_id
    from judged
    left join chained
        on judged.invite_id = chained.invite_id

),

decided as (

    select
        invite_id,
        event_id,
        inviter_id,
        recipient_key,
        sent_at,
        counted_invite_id,
        case when counted_invite_id <> invite_id then 'duplicate' else reason end as rejected_reason
    from verdicts

)

select * from decided
