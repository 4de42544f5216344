{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_invite_pairs_affected', 'key': ['inviter_id', 'recipient_key']}},
        indexes=[
            {'columns': ['invite_id'], 'unique': true},
            {'columns': ['inviter_id']},
            {'columns': ['recipient_key', 'inviter_id']},
        ],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_invite_pairs_affected') %}
{%- set opened = ref('int_invites_opened') %}
{%- set sent = ref('int_invites_sent') %}
{%- set window_us = (policy('invite_window_days') | int) * 24 * (microseconds_per_hour() | int) %}
{%- set frozen_before = frozen_before() %}
{%- set frozen_until = utc_midnight("'" ~ frozen_before ~ "'::date") %}

with recursive

{% if frozen_before %}

    frozen_days as {{ not_materialized() }} (

        select
            *,
            coalesce(rejected_reason in ('self', 'already_a_user') and joined_user_id is null, false)
                as is_rejected_at_send
        from {{ published('fct_invites') }}
        where sent_at < {{ frozen_until }}

    ),

    -- Invites of frozen days are as they were published: raw holds them no longer, and joins still name them.
    frozen as (

        {% if is_incremental() %}
            {{ of_pairs('frozen_days', affected) }}
        {% else %}
            select * from frozen_days
        {% endif %}

    ),

{% endif %}

sends as (

    {% if is_incremental() %}

        {{ of_pairs(sent, affected) }}

    {% else %}

        select found.* from {{ sent }} as found

    {% endif %}
    {% if frozen_before %}
        where
            found.sent_at >= {{ frozen_until }}
            -- A further send under the name of a frozen invite.
            and not exists (

                select 1
                from frozen_days
                where frozen_days.invite_id = found.invite_id

            )
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

    select
        invite_id,
        event_id,
        inviter_id,
        recipient_key,
        sent_at
    from judged
    where reason is null

    {% if frozen_before %}

        union all

        -- The one that a first send of the other days may repeat.
        (
            select distinct on (inviter_id, recipient_key)
                invite_id,
                event_id,
                inviter_id,
                recipient_key,
                sent_at
            from frozen
            where
                repeated_invite_id is null
                and not is_rejected_at_send
            order by
                inviter_id,
                recipient_key,
                sent_at desc,
                {{ by_code_point('event_id') }} desc
        )

    {% endif %}

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

-- next_number: of the first send that comes too late to repeat this one.
repeated as (

    select
        invite_id,
        inviter_id,
        recipient_key,
        send_number,
        send_count,
        count(*) over (
            partition by inviter_id, recipient_key
            order by {{ microseconds('sent_at') }}
            range between unbounded preceding and {{ window_us }} following
        ) + 1 as next_number
    from numbered
    where send_count > 1

),

-- Most pairs end with the repeats of their first send.
links as (

    select windows.*
    from (

        select
            *,
            min(next_number) over (partition by inviter_id, recipient_key) as second_number
        from repeated

    ) as windows
    where windows.second_number <= windows.send_count

),

-- The first send of an inviter to a recipient counts; one within the window of the last counted one
-- repeats it; one after that counts anew.
counted as (

    select
        inviter_id,
        recipient_key,
        send_number,
        next_number
    from links
    where send_number = 1

    union all

    select
        links.inviter_id,
        links.recipient_key,
        links.send_number,
        links.next_number
    from counted
    inner join links
        on
            counted.inviter_id = links.inviter_id
            and counted.recipient_key = links.recipient_key
            and counted.next_number = links.send_number

),

chained as (

    select
        repeated.*,
        coalesce(
            max(counted.send_number) over (
                partition by repeated.inviter_id, repeated.recipient_key
                order by repeated.send_number
            ),
            1
        ) as counted_number
    from repeated
    left join counted
        on
            repeated.inviter_id = counted.inviter_id
            and repeated.recipient_key = counted.recipient_key
            and repeated.send_number = counted.send_number

),

repeats as (

    select
        invite_id,
        first_value(invite_id) over (
            partition by inviter_id, recipient_key, counted_number
            order by send_number
        ) as counted_invite_id
    from chained

),

named_opens as (

    select
        invite_id,
        min(opened_at) as opened_at
    from {{ opened }}
    where
        invite_id is not null
        {% if frozen_before %}
            and opened_at >= {{ frozen_until }}
        {% endif %}
        {% if is_incremental() %}
            and invite_id in (select sends.invite_id from sends)
        {% endif %}
    group by invite_id

),

unnamed_opens as (

    {% if is_incremental() %}

        {{ of_pairs(opened, affected, 'known.invite_id is null') }}

    {% else %}

        select * from {{ opened }}
        where invite_id is null

    {% endif %}

),

pairs_opened as (

    select distinct
        inviter_id,
        recipient_key
    from unnamed_opens

),

-- Sends and openings of a pair in one order, a send before an opening of the same instant.
events as (

    select
        sends.inviter_id,
        sends.recipient_key,
        sends.sent_at as happened_at,
        sends.invite_id,
        sends.event_id
    from sends
    inner join pairs_opened
        on
            sends.inviter_id = pairs_opened.inviter_id
            and sends.recipient_key = pairs_opened.recipient_key

    {% if frozen_before %}

        union all

        select
            frozen.inviter_id,
            frozen.recipient_key,
            frozen.sent_at as happened_at,
            frozen.invite_id,
            frozen.event_id
        from frozen
        inner join pairs_opened
            on
                frozen.inviter_id = pairs_opened.inviter_id
                and frozen.recipient_key = pairs_opened.recipient_key

    {% endif %}

    union all

    select
        inviter_id,
        recipient_key,
        opened_at as happened_at,
        null as invite_id,
        null as event_id
    from unnamed_opens

),

-- An opening that names no invite is of the last send of its pair until then.
sends_passed as (

    select
        events.*,
        count(events.invite_id) over (
            partition by events.inviter_id, events.recipient_key
            order by
                events.happened_at,
                case when events.invite_id is null then 1 else 0 end,
                {{ by_code_point('events.event_id') }}
        ) as last_send
    from events

),

first_unnamed_opens as (

    select
        min(invite_id) as invite_id,
        min(happened_at) filter (where invite_id is null) as opened_at
    from sends_passed
    group by
        inviter_id,
        recipient_key,
        last_send

),

decided as (

    select
        judged.invite_id,
        judged.event_id,
        judged.inviter_id,
        judged.recipient_key,
        judged.recipient_is_disposable,
        judged.channel,
        judged.sent_at,
        least(named_opens.opened_at, first_unnamed_opens.opened_at) as opened_at,
        case when judged.reason is null then coalesce(repeats.counted_invite_id, judged.invite_id) end
            as counted_invite_id,
        case when repeats.counted_invite_id <> judged.invite_id then 'duplicate' else judged.reason end
            as rejected_reason
    from judged
    left join repeats
        on judged.invite_id = repeats.invite_id
    left join named_opens
        on judged.invite_id = named_opens.invite_id
    left join first_unnamed_opens
        on judged.invite_id = first_unnamed_opens.invite_id

    {% if frozen_before %}

        union all

        select
            invite_id,
            event_id,
            inviter_id,
            recipient_key,
            is_disposable as recipient_is_disposable,
            channel,
            sent_at,
            opened_at,
            case when not is_rejected_at_send then coalesce(repeated_invite_id, invite_id) end as counted_invite_id,
            case
                when repeated_invite_id is not null then 'duplicate'
                when is_rejected_at_send then rejected_reason
            end as rejected_reason
        from frozen

    {% endif %}

)

select * from decided
