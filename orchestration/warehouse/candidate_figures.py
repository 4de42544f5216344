"""Aggregates of candidate tables, and the same of the published ones, for the audit before publication.

Every figure is a sum, a bound or a count: nothing of a person leaves the warehouse.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

CANDIDATE = "candidate"
MARTS = "marts"

# What is compared with the published table, over days before a given one. Models agree in these sums.
SETTLED = {
    "fct_attribution": "select count(*) as rows from {table} where converted_on < %(before)s",
    "attribution_by_channel": """
        select sum(revenue_cents) as revenue_cents, sum(conversions) as conversions
        from {table}
        where date < %(before)s and attribution_model = 'last_touch'
    """,
    "attribution_by_campaign": """
        select sum(revenue_cents) as revenue_cents, sum(conversions) as conversions
        from {table}
        where date < %(before)s and attribution_model = 'last_touch'
    """,
    "campaign_performance": """
        select sum(sent) as sent, sum(delivered) as delivered, sum(converted) as converted from {table}
    """,
    "channel_roi": """
        select sum(cost_cents) as cost_cents, sum(conversions) as conversions
        from {table}
        where date < %(before)s and attribution_model = 'last_touch'
    """,
    "fct_invites": """
        select count(*) as rows, count(*) filter (where outcome = 'credited') as credited
        from {table}
        where sent_at < (%(before)s::timestamp - make_interval(days => invite_window_days)) at time zone 'UTC'
    """,
    "viral_coefficient_daily": """
        select sum(cohort_users) as cohort_users, sum(credited_joins) as credited_joins
        from {table}
        where
            cohort_on < %(before)s
            and cohort_on <= (select max(cohort_on) from marts.viral_coefficient_daily where is_mature)
    """,
}

# Conversions that ended without, of which a share is compared between the latest days and those before.
WITHOUT = {
    "attribution_by_channel": "channel = 'unattributed'",
    "attribution_by_campaign": "campaign_id = '(none)'",
}

RETURNS = """
    select min(roi_pct) as lowest_roi_pct, min(roas) as lowest_roas, min(cac_cents) as lowest_cac_cents from {table}
"""

COEFFICIENTS = """
    select
        min(maturity) as lowest_maturity,
        max(maturity) as highest_maturity,
        min(least(k_observed, k_adjusted)) as lowest_k,
        count(*) filter (where low > high or k_adjusted not between low and high) as outside_interval,
        count(*) filter (where net_joins > credited_joins or opened_invites > invites) as parts_beyond_whole
    from {table}
"""

# Within what bounds the values of a table lie.
BOUNDS = {
    "fct_attribution": """
        select
            min(least({credits})) as lowest_credit,
            max(greatest({credits})) as highest_credit,
            min(least({cents})) as lowest_cents
        from {table}
    """,
    "channel_roi": RETURNS,
    "campaign_roi": RETURNS,
    "path_summary": """
        select
            min(least(conversions, non_conversions, conversions + non_conversions)) as lowest_count,
            min(revenue_cents) as lowest_cents
        from {table}
    """,
    "channel_transitions": """
        with states as (
            select markov_order, from_state as state, transitions as steps from {table}
            union all
            select markov_order, to_state, -transitions from {table}
        ),
        balances as (
            select markov_order, state, sum(steps) as balance from states group by markov_order, state
        ),
        paths as (
            select coalesce(sum(conversions + non_conversions), 0) as paths from candidate.path_summary
        )
        select
            (select min(transitions) from {table}) as lowest_count,
            count(*) filter (where balance <> 0 and state not in ('(start)', '(conversion)', '(null)'))
                as unbalanced_states,
            max(abs(balance - paths)) filter (where state = '(start)') as paths_off
        from balances
        cross join paths
    """,
    "channel_removal_effects": """
        with given as (
            select
                method,
                markov_order,
                min(removal_effect) as lowest,
                max(removal_effect) as highest,
                min(conversions) as least,
                sum(conversions) as conversions,
                sum(revenue_cents) as revenue_cents
            from {table}
            group by method, markov_order
        ),
        paths as (
            select
                coalesce(sum(conversions), 0) as conversions,
                coalesce(sum(revenue_cents), 0) as revenue_cents
            from candidate.path_summary
        )
        select
            min(given.lowest) as lowest_effect,
            max(given.highest) as highest_effect,
            min(given.least) as lowest_credit,
            max(abs(given.conversions - paths.conversions)) as conversions_off,
            max(abs(given.revenue_cents - paths.revenue_cents)) as cents_off
        from given
        cross join paths
    """,
    "viral_coefficient_daily": COEFFICIENTS,
    "viral_coefficient_daily_by_user_type": COEFFICIENTS,
    "viral_coefficient_weekly": COEFFICIENTS,
    "viral_headline": """
        select
            min(maturity) as lowest_maturity,
            max(maturity) as highest_maturity,
            min(viral_coefficient) as lowest_k,
            count(*) filter (where low > high or viral_coefficient not between low and high) as outside_interval
        from {table}
    """,
    "fct_referrals": """
        select
            count(*) filter (where joined_at <= sent_at) as early_joins,
            count(*) filter (where is_net and (rejected_reason is not null or is_burst or is_disposable))
                as wrongly_net,
            count(*) filter (
                where
                    is_within_horizon
                    and (rejected_reason is not null or inviter_joined_at is null or joined_at < inviter_joined_at)
            ) as wrongly_within_horizon,
            min(reward_cents) as lowest_cents
        from {table}
    """,
    "viral_trees": """
        select
            min(depth) as lowest_depth,
            count(*) filter (
                where
                    cardinality(users_per_generation) <> depth + 1
                    or 0 >= any(users_per_generation)
                    or users <> (select sum(one) from unnest(users_per_generation) as generations (one))
            ) as uneven_trees
        from {table}
    """,
    "viral_generations": """
        select
            min(least(generations.users, generations.brought)) as lowest_count,
            count(*) filter (where generations.brought <> coalesce(below.users, 0)) as brought_off
        from {table} as generations
        left join {table} as below on generations.generation + 1 = below.generation
    """,
    "viral_lag_distribution": """
        with lags as (
            select share, lag(share) over (order by lag_hours) as share_before from {table}
        )
        select
            min(share) as lowest_share,
            max(share) as highest_share,
            count(*) filter (where share < share_before) as falling_shares
        from lags
    """,
    "viral_users_by_hour": """
        select
            count(*) filter (where users < 1) as empty_hours,
            count(*) filter (where past_hour_us < 0 or past_hour_us >= users::numeric * 3600000000) as outside_hour
        from {table}
    """,
    "super_connectors": """
        select
            count(*) filter (where net_joins > credited_joins or descendants < credited_joins) as parts_beyond_whole,
            min(least(reward_due_cents, reward_withheld_cents, descendants_revenue_cents)) as lowest_cents
        from {table}
    """,
    "viral_incentives": """
        select
            count(*) filter (where net_joins > credited_joins) as parts_beyond_whole,
            min(least(rewards_due_cents, rewards_withheld_cents, rewards_granted_cents, revenue_cents, margin_cents))
                as lowest_cents
        from {table}
    """,
    "viral_spread": """
        select
            min(value) filter (where metric in ('extinction_probability', 'share_of_inviters_for_80_pct'))
                as lowest_share,
            max(value) filter (where metric in ('extinction_probability', 'share_of_inviters_for_80_pct'))
                as highest_share,
            count(*) filter (where low > high or value not between low and high) as outside_interval
        from {table}
    """,
    "viral_levers": """
        select
            min(k_share) as lowest_share,
            max(k_share) as highest_share,
            count(*) filter (where low > high) as reversed_intervals
        from {table}
    """,
    "viral_forecasts": """
        select
            min(least(expected_joins, expected_referred_joins, low)) as lowest_joins,
            count(*) filter (where expected_joins not between low and high or expected_referred_joins > expected_joins)
                as outside_interval
        from {table}
    """,
    "viral_backtest": """
        select
            case when count(is_within) >= %(least_days)s then avg(is_within::integer) end as coverage,
            count(*) filter (where low > high or k_said not between low and high) as outside_interval
        from {table}
        where scope = 'headline'
    """,
    "channel_credit_intervals": """
        with given as (
            select
                attribution_model,
                min(conversions_low) as lowest,
                count(*) filter (where conversions_low > conversions_high) as reversed,
                sum(conversions) as conversions
            from {table}
            group by attribution_model
        )
        select
            min(lowest) as lowest_credit,
            sum(reversed) as reversed_intervals,
            max(conversions) - min(conversions) as conversions_off
        from given
    """,
    "integration_health": """
        select
            count(*) as rows,
            min(value) as lowest_value,
            max(value) filter (where measure in ('sync_rate', 'trigger_accuracy')) as highest_share,
            min(heartbeat_age_minutes) as lowest_age,
            count(*) filter (where failed > events) as parts_beyond_whole
        from {table}
    """,
    "success_criteria": """
        select
            count(*) as rows,
            count(*) filter (where criteria.value is not null and criteria.evidence is null) as without_evidence,
            count(*) filter (
                where scorecard.metric is not null and criteria.value is distinct from scorecard.value
            ) as off_scorecard
        from {table} as criteria
        left join candidate.scorecard on criteria.criterion = scorecard.metric
    """,
    "system_health": """
        select
            count(*) as rows,
            count(*) filter (where (value is null) <> (status = 'no_data')) as without_value,
            count(*) filter (where status = 'critical' and value >= critical_at) as worse_than_value
        from {table}
    """,
    "content_opportunities": """
        select
            count(*) filter (where channel is not null and rate not between rate_low and rate_high) as outside_interval,
            min(shortfall_low) as lowest_shortfall,
            min(least(people, benchmark_people)) filter (where channel is not null) as fewest_recipients,
            min(people) filter (where channel is null) as fewest_people
        from {table}
    """,
    "content_performance": """
        select
            count(*) filter (where converted > matured_delivered or matured_delivered > delivered)
                as parts_beyond_whole,
            count(*) filter (where lift not between lift_low and lift_high) as outside_interval,
            count(distinct campaign_id) - count(*) filter (where is_control) as without_control
        from {table}
    """,
    "attribution_accuracy": """
        select
            min(accuracy) as lowest_accuracy,
            max(accuracy) as highest_accuracy,
            min(accuracy) filter (where {is_headline} and status <> 'no_data') as accuracy,
            min(accuracy) filter (where {is_headline} and status = 'drift') as drifted_accuracy
        from {table}
        cross join ops.current_build
    """,
}

# Of the rows of attribution_accuracy, the one that the headline is judged by.
IS_HEADLINE = sql.SQL(
    "truth_method = 'survey' and is_latest and attribution_model = %(headline)s "
    "and attribution_accuracy.calibration_id = current_build.calibration_id"
)


@dataclass(frozen=True)
class Present:
    """What a build is compared with. base_as_of: the present of the published build, None before the first one.

    asked_for: a person asked for the change: accepted a load, moved the policy, or asked for a full refresh.
    """

    as_of: datetime
    base_as_of: datetime | None
    asked_for: bool


def present_of(connection: psycopg.Connection, build_id: int) -> Present:
    """The present of a build and of the one that it follows."""
    with connection.cursor(row_factory=class_row(Present)) as cursor:
        return cursor.execute(
            """
            select
                builds.as_of,
                base.as_of as base_as_of,
                coalesce(builds.full_reason = 'asked for' or builds.policy_sha256 <> base.policy_sha256, false)
                or exists (
                    select
                    from raw.loads
                    where claimed_build_id = builds.build_id and published_build_id is null and status = 'accepted'
                ) as asked_for
            from ops.builds
            left join ops.builds as base on base.build_id = builds.base_build_id
            where builds.build_id = %s
            """,
            [build_id],
        ).fetchone()


def settled(connection: psycopg.Connection, schema: str, mart: str, before: date) -> dict[str, float | None]:
    """Sums over the days before a given one, of a table in `candidate` or `marts`."""
    return _row(connection, SETTLED[mart], schema, mart, before=before)


def bounds(connection: psycopg.Connection, mart: str, headline: str, least_days: int) -> dict[str, float | None]:
    """Least and greatest values of a candidate table, and by how much it fails to add up. headline: the model whose
    accuracy counts. least_days: replayed days from which their coverage is one."""
    return _row(connection, BOUNDS[mart], CANDIDATE, mart, headline=headline, least_days=least_days)


def without(connection: psycopg.Connection, mart: str, start: date, end: date) -> dict[str, float | None]:
    """Of the conversions of days from start up to (not including) end: all, and those `without`."""
    query = f"""
        select sum(conversions) as conversions, sum(conversions) filter (where {WITHOUT[mart]}) as without
        from {{table}}
        where date >= %(start)s and date < %(end)s and attribution_model = 'last_touch'
    """
    return _row(connection, query, CANDIDATE, mart, start=start, end=end)


def days_lost(connection: psycopg.Connection, before: date) -> int:
    """Days of marts.marketing_roi_summary, before a given one, that the candidate no longer has."""
    return connection.execute(
        """
        select count(*)
        from marts.marketing_roi_summary as published
        where
            published.date < %s
            and not exists (
                select from candidate.marketing_roi_summary as kept where kept.date = published.date
            )
        """,
        [before],
    ).fetchone()[0]


def scorecard(connection: psycopg.Connection, schema: str) -> list[dict[str, Any]]:
    """metric, value and as_of of the goals in `candidate` or `marts`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = sql.SQL("select metric, value::double precision as value, as_of from {} order by metric")
        return cursor.execute(query.format(sql.Identifier(schema, "scorecard"))).fetchall()


def _row(
    connection: psycopg.Connection, query: str, schema: str, mart: str, **parameters: Any
) -> dict[str, float | None]:
    composed = sql.SQL(query).format(
        table=sql.Identifier(schema, mart),
        credits=_columns(connection, mart, "_credit"),
        cents=_columns(connection, mart, "_revenue_cents"),
        is_headline=IS_HEADLINE,
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(composed, parameters).fetchone()
    return {name: None if value is None else float(value) for name, value in row.items()}


def _columns(connection: psycopg.Connection, mart: str, suffix: str) -> sql.Composable:
    """The candidate's columns whose names end so: one per attribution model."""
    rows = connection.execute(
        """
        select column_name
        from information_schema.columns
        where table_schema = 'candidate' and table_name = %s and right(column_name, length(%s)) = %s
        order by ordinal_position
        """,
        [mart, suffix, suffix],
    ).fetchall()
    return sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows)
