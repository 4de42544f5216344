{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_invite_pairs_affected', 'key': ['inviter_id', 'recipient_key']}},
        indexes=[
            {'columns': ['invite_id'], 'unique': true},
            {'columns': ['inviter_id', 'recipient_key']},
            {'columns': ['recipient_key']},
        ],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_invite_pairs_affected') %}
{%- set opened = ref('int_invites_opened') %}
{%- set sent = ref('int_invites_sent') %}
{%- set window = days(policy('invite_window_days')) %}

with recursive

sends as (

    {% if is_incremental() %}

        -- A look-up each: a join on two columns would be expected to find next to nothing.
        select found.*
        from {{ affected }} as changed
        cross join lateral (

            select known.*
            from {{ sent }} as known
            where
                known.inviter_id = changed.inviter_id
                and known.recipient_key = changed.recipient_key
            order by known.invite_id
            offset 0

        ) as found

    {% else %}

        select * from {{ sent }}

    {% endif %}

),

users as {{ not_materialized() }} (

    select * from {{ ref('int_users') }}

),

first_joins as (

    select
        email_key,
        min(signed_up_at) as first_joined_at
    from users
    {% if is_incremental() %}
        where email_key in (select changed.recipient_key from {{ affected }} as changed)
    {% endif %}
    group by email_key

),

judged as (

    select
        sends.*,
        case
            when inviters.mailbox_key = sends.recipient_mailbox_key then 'self'
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

named_opens as (

    select
        invite_id,
        min(opened_at) as opened_at
    from {{ opened }}
    where
        invite_id is not null
        {% if is_incremental() %}
            and invite_id in (select sends.invite_id from sends)
        {% endif %}
    group by invite_id

),

-- An opening that names no invite is of the last send of its pair until then.
unnamed_opens as (

    select distinct on (opened.event_id)
        sends.invite_id,
        opened.opened_at
    from {{ opened }} as opened
    inner join sends
        on
            opened.inviter_id = sends.inviter_id
            and opened.recipient_key = sends.recipient_key
            and opened.opened_at >= sends.sent_at
    where opened.invite_id is null
    order by
        opened.event_id,
        sends.sent_at desc,
        {{ by_code_point('sends.event_id') }} desc

),

first_unnamed_opens as (

    select
        invite_id,
        min(opened_at) as opened_at
    from unnamed_opens
    group by invite_id

),

decided as (

    select
        verdicts.invite_id,
        verdicts.event_id,
        verdicts.inviter_id,
        verdicts.recipient_key,
        verdicts.recipient_is_disposable,
        verdicts.channel,
        verdicts.sent_at,
        least(named_opens.opened_at, first_unnamed_opens.opened_at) as opened_at,
        verdicts.counted_invite_id,
        case when verdicts.counted_invite_id <> verdicts.invite_id then 'duplicate' else verdicts.reason end
            as rejected_reason
    from verdicts
    left join named_opens
        on verdicts.invite_id = named_opens.invite_id
    left join first_unnamed_opens
        on verdicts.invite_id = first_unnamed_opens.invite_id

)

select * from decided
