-- The alternative to the engine's models: K of each day's cohort in one materialized view on the raw tables, by the
-- same rules for invites and joins. It has no rings, bursts, throw-away addresses, openings, maturity or intervals.
create materialized view benchmark.viral_coefficient_daily as
with users as (
    select distinct on (user_id)
        user_id, email_key, mailbox_key, invite_id, signed_up_at,
        (signed_up_at at time zone 'UTC')::date as cohort_on
    from raw.users
    order by user_id, updated_at desc nulls last, record_sha256 desc
),

joined as (
    select email_key, min(signed_up_at) as joined_at from users group by email_key
),

sends as (
    select
        coalesce(actions.invite_id, actions.event_id) as invite_id,
        actions.event_id,
        actions.actor_id as inviter_id,
        actions.recipient_key,
        actions.occurred_at as sent_at
    from raw.viral_actions as actions
    left join users on users.user_id = actions.actor_id
    left join joined on joined.email_key = actions.recipient_key
    where
        actions.action_type = 'invite_sent'
        and users.mailbox_key is distinct from actions.recipient_mailbox_key
        and (joined.joined_at is null or joined.joined_at > actions.occurred_at)
),

repeats as (
    select
        *,
        lag(sent_at) over earlier >= sent_at - interval '720 hours' as is_repeat,
        lag(invite_id) over earlier as repeated_id
    from sends
    window earlier as (partition by inviter_id, recipient_key order by sent_at, event_id)
),

invites as (
    select
        *,
        coalesce(is_repeat, false) as is_duplicate,
        case when is_repeat then repeated_id else invite_id end as counted_id
    from repeats
),

candidates as (
    select users.user_id, invites.counted_id as invite_id, true as is_named, invites.sent_at, invites.event_id
    from users
    inner join invites
        on invites.invite_id = users.invite_id
        and invites.inviter_id <> users.user_id
        and invites.sent_at < users.signed_up_at
    union all
    select users.user_id, invites.invite_id, false, invites.sent_at, invites.event_id
    from users
    inner join invites
        on invites.recipient_key = users.email_key
        and users.signed_up_at > invites.sent_at
        and users.signed_up_at <= invites.sent_at + interval '720 hours'
    where not invites.is_duplicate
),

matched as (
    select distinct on (user_id) user_id, invite_id
    from candidates
    order by user_id, is_named desc, sent_at desc, event_id desc
),

credited as (
    select inviters.cohort_on, count(*) as joins
    from matched
    inner join users on users.user_id = matched.user_id
    inner join invites on invites.invite_id = matched.invite_id
    inner join users as inviters on inviters.user_id = invites.inviter_id
    where
        users.mailbox_key <> inviters.mailbox_key
        and users.signed_up_at between inviters.signed_up_at and inviters.signed_up_at + interval '720 hours'
    group by inviters.cohort_on
),

invited as (
    select inviters.cohort_on, count(*) as invites
    from invites
    inner join users as inviters on inviters.user_id = invites.inviter_id
    where
        not invites.is_duplicate
        and invites.sent_at between inviters.signed_up_at and inviters.signed_up_at + interval '720 hours'
    group by inviters.cohort_on
),

cohorts as (
    select cohort_on, count(*) as users from users group by cohort_on
)

select
    cohorts.cohort_on,
    cohorts.users as cohort_users,
    coalesce(invited.invites, 0) as invites,
    coalesce(credited.joins, 0) as credited_joins,
    (coalesce(credited.joins, 0)::numeric(50, 20) / cohorts.users)::numeric(38, 12) as k_observed
from cohorts
left join invited using (cohort_on)
left join credited using (cohort_on)
