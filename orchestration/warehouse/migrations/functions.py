"""Functions in the warehouse that change with the models: their text of now.

A migration that changes one runs it again, so that an old warehouse and a new one have the same.
"""

# The one place besides staging that reads raw: what was published last, and what has been committed since.
VIRAL_COEFFICIENT_NOW = """
create or replace function ops.viral_coefficient_now(at timestamptz default clock_timestamp())
returns table (
    as_of timestamptz,
    viral_coefficient numeric,
    cohort_users bigint,
    net_joins bigint,
    maturity numeric,
    period_start_on date,
    period_end_on date,
    built_as_of timestamptz,
    users_since bigint,
    joins_since bigint
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
-- A plan is made once for each session. Look-ups into tables are lateral, so nested loops whatever is switched off;
-- what has arrived is joined with itself by hashing, however few rows the planner expects of it.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = off set jit = off
as $$
#variable_conflict use_column
declare
    headline record;
    last_on date := ((at - interval '1 microsecond') at time zone 'UTC')::date;
    first_on date;
    hour_us constant bigint := 3600000000;
    horizon interval;
    since bigint[];
    come_due bigint[];
    hidden bigint[];
    most constant bigint := 200000;
    waiting bigint;
begin
    if to_regclass('marts.viral_headline') is not null then
        select * into headline from marts.viral_headline;
    end if;
    if not found then
        raise exception 'nothing of the viral coefficient has been published'
            using hint = 'Run: marketing build';
    end if;
    if at < headline.as_of then
        raise exception 'the published build is as of %, which is later than %', headline.as_of, at
            using hint = 'What was said of a past day stands in marts.viral_backtest.';
    end if;
    first_on := last_on - headline.viral_window_days + 1;
    horizon := make_interval(hours => 24 * headline.viral_horizon_days);
    select coalesce(array_agg(load_id), '{}'), coalesce(sum(inserted), 0) into since, waiting
    from raw.loads
    where published_build_id is null and status in ('loaded', 'accepted') and feed in ('users', 'viral_actions');
    if waiting > most then
        raise exception '% records have come since the published build: more than can be looked at in a moment', waiting
            using hint = 'Run: marketing build';
    end if;
    select coalesce(array_agg(load_id), '{}') into come_due
    from raw.loads
    where
        latest_at > headline.as_of and published_build_id is not null and status in ('loaded', 'accepted')
        and feed in ('users', 'viral_actions');
    select coalesce(array_agg(load_id), '{}') into hidden
    from raw.loads
    where status in ('held', 'withdrawn');

    -- Each look-up in raw or marts is a lateral one that ends in limit or offset: so it goes by an index, however
    -- many rows the planner takes a load to have.
    return query
    with
    -- Gathered into arrays, of which the planner expects few rows: of a load it would expect the average one, and
    -- make room for millions.
    arrived as (
        select distinct found.user_id
        from (
            select unnest(array_agg(users.user_id)) as user_id from raw.users where users.load_id = any(since)
            union all
            select unnest(array_agg(users.user_id)) from raw.users
            where users.load_id = any(come_due) and users.signed_up_at > headline.as_of
        ) as found
    ),
    new_users as materialized (
        select
            known.user_id, known.email_key, known.mailbox_key, known.email_is_disposable, known.signed_up_at,
            known.invite_id
        from arrived
        cross join lateral ops.known_user(arrived.user_id, at, hidden) as known
        -- Of whom a build knows already, it is for the next one to see what changed.
        left join lateral (
            select true as is_known from raw.users as earlier
            where
                earlier.user_id = arrived.user_id and earlier.signed_up_at <= headline.as_of
                and earlier.load_id <> all(since)
            limit 1
        ) as earlier on true
        where known.user_id is not null and earlier.is_known is null
    ),
    new_sends as materialized (
        select
            sends.*,
            lag(sends.sent_at) over (
                partition by sends.inviter_id, sends.recipient_key
                order by sends.sent_at, sends.event_id collate "C"
            ) as previous_at
        from (
            select
                coalesce(actions.invite_id, actions.event_id) as invite_id, actions.event_id,
                actions.actor_id as inviter_id, actions.recipient_key, actions.recipient_mailbox_key,
                actions.occurred_at as sent_at
            from (
                select array_agg(actions) as actions from raw.viral_actions as actions
                where
                    actions.load_id = any(since) and actions.action_type = 'invite_sent'
                    and actions.occurred_at <= at
                union all
                select array_agg(actions) from raw.viral_actions as actions
                where
                    actions.load_id = any(come_due) and actions.action_type = 'invite_sent'
                    and actions.occurred_at <= at and actions.occurred_at > headline.as_of
            ) as found
            cross join lateral unnest(found.actions) as actions
        ) as sends
    ),
    -- Most were sent to nobody who has joined: those decide nothing yet. Whoever joined after an invite that no build
    -- can have seen is a new user too; after a late one, anybody may have.
    owners as (
        select sends.event_id, new_users.user_id
        from new_sends as sends
        inner join new_users on new_users.email_key = sends.recipient_key
        where sends.sent_at >= headline.as_of
        union
        select sends.event_id, new_users.user_id
        from new_sends as sends
        inner join new_users on new_users.invite_id = sends.invite_id
        where sends.sent_at >= headline.as_of
        union
        select sends.event_id, owners.user_id
        from new_sends as sends
        cross join lateral (
            select users.user_id from raw.users where users.email_key = sends.recipient_key
            union all
            select users.user_id from raw.users where users.invite_id = sends.invite_id
            offset 0
        ) as owners
        where sends.sent_at < headline.as_of
    ),
    matched as materialized (
        select
            sends.invite_id, sends.event_id, sends.inviter_id, sends.recipient_key, sends.sent_at,
            joiners.user_id, joiners.email_key, joiners.mailbox_key, joiners.email_is_disposable,
            joiners.signed_up_at, joiners.invite_id as named_invite_id
        from owners
        inner join new_sends as sends on sends.event_id = owners.event_id
        cross join lateral ops.known_user(owners.user_id, at, hidden) as joiners
        left join lateral ops.known_user(sends.inviter_id, at, hidden) as inviters on true
        left join lateral (
            select true as is_known from marts.fct_invites as known
            where known.invite_id = sends.invite_id
            limit 1
        ) as known on true
        left join lateral (
            select true as is_user
            from (
                select users.user_id from raw.users where users.email_key = sends.recipient_key offset 0
            ) as users
            cross join lateral ops.known_user(users.user_id, at, hidden) as known
            where known.email_key = sends.recipient_key and known.signed_up_at <= sends.sent_at
            limit 1
        ) as earlier on true
        left join lateral (
            select true as is_counted from marts.fct_invites as counted
            where
                counted.recipient_key = sends.recipient_key and counted.inviter_id = sends.inviter_id
                and counted.sent_at <= sends.sent_at
                and counted.sent_at + make_interval(hours => 24 * headline.invite_window_days) >= sends.sent_at
                and counted.rejected_reason is distinct from 'duplicate'
                and counted.rejected_reason is distinct from 'already_a_user'
                and (counted.rejected_reason is distinct from 'self' or counted.joined_user_id is not null)
            limit 1
        ) as counted on true
        where
            (
                sends.previous_at is null
                or sends.previous_at + make_interval(hours => 24 * headline.invite_window_days) < sends.sent_at
            )
            and (joiners.email_key = sends.recipient_key or joiners.invite_id = sends.invite_id)
            and joiners.signed_up_at > sends.sent_at
            and inviters.mailbox_key is distinct from sends.recipient_mailbox_key
            and known.is_known is null and earlier.is_user is null and counted.is_counted is null
    ),
    joiners as materialized (
        select user_id, email_key, mailbox_key, email_is_disposable, signed_up_at, invite_id from new_users
        union
        select user_id, email_key, mailbox_key, email_is_disposable, signed_up_at, named_invite_id from matched
        union
        -- Whose inviter was nobody's user until now.
        select
            known.user_id, known.email_key, known.mailbox_key, known.email_is_disposable, known.signed_up_at,
            known.invite_id
        from new_users
        cross join lateral (
            select told.user_id from marts.fct_referrals as told where told.inviter_id = new_users.user_id offset 0
        ) as told
        cross join lateral ops.known_user(told.user_id, at, hidden) as known
    ),
    candidates as (
        select joiners.user_id, true as is_named, known.inviter_id, known.sent_at, known.event_id
        from joiners
        cross join lateral (
            select known.inviter_id, known.sent_at, known.event_id
            from marts.fct_invites as known
            where
                known.invite_id = joiners.invite_id
                and known.sent_at < joiners.signed_up_at and known.inviter_id <> joiners.user_id
                and known.rejected_reason is distinct from 'already_a_user'
                and (known.rejected_reason is distinct from 'self' or known.joined_user_id is not null)
            offset 0
        ) as known
        where joiners.invite_id is not null
        union all
        select joiners.user_id, false as is_named, known.inviter_id, known.sent_at, known.event_id
        from joiners
        cross join lateral (
            select known.inviter_id, known.sent_at, known.event_id
            from marts.fct_invites as known
            where
                known.recipient_key = joiners.email_key and known.sent_at < joiners.signed_up_at
                and known.sent_at >= joiners.signed_up_at - make_interval(hours => 24 * headline.invite_window_days)
                and known.rejected_reason is distinct from 'duplicate'
                and known.rejected_reason is distinct from 'already_a_user'
                and (known.rejected_reason is distinct from 'self' or known.joined_user_id is not null)
            offset 0
        ) as known
        union all
        select user_id, true as is_named, inviter_id, sent_at, event_id
        from matched
        where invite_id = named_invite_id and inviter_id <> user_id
        union all
        select user_id, false as is_named, inviter_id, sent_at, event_id
        from matched
        where
            recipient_key = email_key
            and sent_at >= signed_up_at - make_interval(hours => 24 * headline.invite_window_days)
    ),
    chosen as (
        select distinct on (user_id) user_id, inviter_id
        from candidates
        order by
            user_id,
            is_named desc,
            case when headline.invite_credit = 'first' then sent_at end,
            case when headline.invite_credit = 'first' then event_id end collate "C",
            sent_at desc,
            event_id collate "C" desc
    ),
    -- What marts say of a join stands, flags and all, where its inviter is the same.
    credited as materialized (
        select
            chosen.inviter_id is distinct from told.inviter_id as is_changed,
            told.inviter_joined_at is null and told.is_net as had_no_user,
            (inviters.signed_up_at at time zone 'UTC')::date as cohort_on,
            inviters.user_id is not null and inviters.mailbox_key <> joiners.mailbox_key
            and not joiners.email_is_disposable
            and joiners.signed_up_at >= inviters.signed_up_at
            and joiners.signed_up_at <= inviters.signed_up_at + horizon as is_net,
            (told.inviter_joined_at at time zone 'UTC')::date as told_cohort_on,
            told.is_net and told.is_within_horizon as was_net
        from joiners
        left join chosen on joiners.user_id = chosen.user_id
        left join lateral ops.known_user(chosen.inviter_id, at, hidden) as inviters on true
        left join lateral (
            select told.inviter_id, told.inviter_joined_at, told.is_net, told.is_within_horizon
            from marts.fct_referrals as told
            where told.user_id = joiners.user_id
            limit 1
        ) as told on true
    ),
    changes as materialized (
        select cohort_on, 1 as net_joins from credited where (is_changed or had_no_user) and is_net
        union all
        select told_cohort_on, -1 as net_joins from credited where is_changed and was_net
    ),
    users as (
        select hours.cohort_on, hours.users, hours.past_hour_us,
            (extract(epoch from at - hours.joined_hour_at) * 1000000)::bigint as hour_age_us
        from marts.viral_users_by_hour as hours
        where hours.cohort_on between first_on and last_on
        union all
        select (new_users.signed_up_at at time zone 'UTC')::date, 1, 0,
            (extract(epoch from at - new_users.signed_up_at) * 1000000)::bigint
        from new_users
        where (new_users.signed_up_at at time zone 'UTC')::date between first_on and last_on
    ),
    -- Whole hours of their mean age, as the model of exposures has them: no product of users and microseconds of age.
    aged as (
        select
            users.*,
            (users.hour_age_us - (users.past_hour_us + users.users - 1) / users.users) / hour_us as hours_old
        from users
    ),
    exposed as (
        select
            aged.cohort_on,
            aged.users,
            case
                when aged.hours_old >= headline.viral_horizon_days * 24 then aged.users
                else round(
                    aged.users * lags.share + (later.share - lags.share)
                    * (aged.users * (aged.hour_age_us - aged.hours_old * hour_us) - aged.past_hour_us)::numeric(50, 20)
                    / hour_us,
                    12
                )
            end as exposure
        from aged
        left join marts.viral_lag_distribution as lags
            on lags.lag_hours = least(aged.hours_old, headline.viral_horizon_days * 24)
        left join marts.viral_lag_distribution as later
            on later.lag_hours = aged.hours_old + 1
    ),
    exposures as (
        select
            exposed.cohort_on,
            sum(exposed.users)::bigint as users,
            -- One part that is not known makes the sum unknown.
            case when count(exposed.exposure) = count(*) then sum(exposed.exposure) end as exposure
        from exposed
        group by exposed.cohort_on
    ),
    joins as (
        select told.cohort_on, sum(told.net_joins)::bigint as net_joins
        from (
            select daily.cohort_on, daily.net_joins
            from marts.viral_coefficient_daily as daily
            where daily.cohort_on between first_on and last_on
            union all
            select changes.cohort_on, changes.net_joins from changes
        ) as told
        group by told.cohort_on
    ),
    pooled as (
        select
            coalesce(sum(exposures.users), 0)::bigint as users,
            coalesce(sum(joins.net_joins), 0)::bigint as net_joins,
            sum(exposures.exposure) as exposure,
            max(exposures.cohort_on) as last_cohort_on
        from exposures
        left join joins on exposures.cohort_on = joins.cohort_on
        where exposures.exposure >= headline.viral_min_maturity * exposures.users
    )
    select
        at,
        case
            when pooled.users >= headline.viral_min_users
                then (pooled.net_joins::numeric(50, 20) / nullif(pooled.exposure, 0))::numeric(38, 12)
        end,
        pooled.users,
        pooled.net_joins,
        (pooled.exposure::numeric(50, 20) / nullif(pooled.users, 0))::numeric(38, 12),
        first_on,
        coalesce(pooled.last_cohort_on, last_on),
        headline.as_of,
        (select count(*) from new_users),
        (select coalesce(sum(changes.net_joins), 0)::bigint from changes)
    from pooled;
end
$$;
comment on function ops.viral_coefficient_now is
    'The headline of marts.viral_headline as it is at this moment: what was published, with its lag distribution, '
    'flags and policy, and what has been committed since. A changed record of a user whom marts know, and fraud that '
    'no build has seen, wait for the next build.';
revoke execute on function ops.viral_coefficient_now, ops.known_user from public;
grant usage on schema ops to analyst;
grant execute on function ops.viral_coefficient_now to analyst, auditor;
"""
