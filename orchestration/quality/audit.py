"""Judges the candidate tables of a build, beside what was last published, before they are published."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from expectations import runner
from expectations.candidate import candidate_suites
from expectations.candidate.scorecard import POSSIBLE
from expectations.outcome import Outcome
from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse import candidate_figures as figures
from orchestration.warehouse.candidate_figures import CANDIDATE, MARTS, Present
from orchestration.warehouse.reads import is_published

from .changes import fall, relative_change, rise

# The latest days, which have not settled, are compared with this many times as many before them.
BASELINE_TIMES = 4

Row = dict[str, Any]


@dataclass(frozen=True)
class Audit:
    """What every figure is worked out from."""

    connection: Any
    present: Present
    policy: Policy


Figure = Callable[[Audit, str], Row]
"""From an audit and a mart's name: some columns of the mart's one row."""


def audit_candidate(
    warehouse: Warehouse, build_id: int, policy: Policy, marts: Collection[str] | None = None
) -> list[Outcome]:
    """The outcome of the suite of each of these candidate tables, of all for None; it changes nothing.

    Changes against the published tables only warn where a person asked for them (Present.asked_for).
    """
    with warehouse.connect("marketing quality") as connection:
        audit = Audit(connection, figures.present_of(connection, build_id), policy)
        outcomes = [
            runner.evaluate(suite, rows_of(audit, mart))
            for mart, suite in candidate_suites(policy).items()
            if marts is None or mart in marts
        ]
    return [outcome.overruled() for outcome in outcomes] if audit.present.asked_for else outcomes


def rows_of(audit: Audit, mart: str) -> list[Row]:
    """What the mart's suite judges."""
    if mart == "scorecard":
        return _goals(audit)
    row: Row = {}
    for figure in FIGURES[mart]:
        row |= figure(audit, mart)
    return [row]


def _bounds(audit: Audit, mart: str) -> Row:
    # data_driven is the policy's own position weights until a calibration has been promoted.
    model = audit.policy.attribution_model
    headline = "data_driven" if model == "multi_touch" else model
    return figures.bounds(audit.connection, mart, headline, audit.policy.viral_backtest_min_days)


def _changes(*columns: str, history: str) -> Figure:
    """Relative changes of settled sums, judged once the published one of `history` is large enough."""

    def figure(audit: Audit, mart: str) -> Row:
        published, candidate = _settled(audit, mart)
        if (published.get(history) or 0) < audit.policy.audit_min_history:
            return {f"{column}_change": None for column in columns}
        return {f"{column}_change": relative_change(published[column], candidate[column]) for column in columns}

    return figure


def _falls(*columns: str, history: str) -> Figure:
    """How much less there is than was published; not judged when the build looks at an earlier present."""

    def figure(audit: Audit, mart: str) -> Row:
        published, candidate = _settled(audit, mart)
        went_back = audit.present.base_as_of is not None and audit.present.as_of < audit.present.base_as_of
        if went_back or (published.get(history) or 0) < audit.policy.audit_min_history:
            return {f"{column}_fall": None for column in columns}
        return {f"{column}_fall": fall(published[column], candidate[column]) for column in columns}

    return figure


def _share_rise(name: str) -> Figure:
    """How much the share of conversions without a journey, or a campaign, grew in the latest days."""

    def figure(audit: Audit, mart: str) -> Row:
        span = timedelta(days=max(1, audit.policy.audit_settled_days))
        today = _day(audit.present.as_of)
        recent = figures.without(audit.connection, mart, today - span, today)
        before = figures.without(audit.connection, mart, today - span * (1 + BASELINE_TIMES), today - span)
        parts = [(period["without"] or 0.0, period["conversions"] or 0.0) for period in (before, recent)]
        return {f"{name}_rise": rise(*parts, least=audit.policy.audit_min_history)}

    return figure


def _days_lost(audit: Audit, mart: str) -> Row:
    before = _settled_before(audit)
    if before is None or not is_published(audit.connection, mart):
        return {"days_lost": None}
    return {"days_lost": figures.days_lost(audit.connection, before)}


def _goals(audit: Audit) -> list[Row]:
    """A row per goal, its value in a column of its own."""
    had_value = set()
    if is_published(audit.connection, "scorecard"):
        published = figures.scorecard(audit.connection, MARTS)
        had_value = {goal["metric"] for goal in published if goal["value"] is not None}
    return [
        {
            "metric": goal["metric"],
            "as_of_off_by_seconds": abs((goal["as_of"] - audit.present.as_of).total_seconds()),
            "value_lost": int(goal["value"] is None) if goal["metric"] in had_value else None,
            **{metric: goal["value"] if metric == goal["metric"] else None for metric in POSSIBLE},
        }
        for goal in figures.scorecard(audit.connection, CANDIDATE)
    ]


def _settled(audit: Audit, mart: str) -> tuple[Row, Row]:
    """The settled sums of the published table and of the candidate; both empty when nothing is published."""
    before = _settled_before(audit)
    if before is None or not is_published(audit.connection, mart):
        return {}, {}
    published, candidate = (figures.settled(audit.connection, schema, mart, before) for schema in (MARTS, CANDIDATE))
    return published, candidate


def _settled_before(audit: Audit) -> date | None:
    """The first day that had not settled when last published, or has not by now; None: nothing is published."""
    if audit.present.base_as_of is None:
        return None
    return _day(min(audit.present.as_of, audit.present.base_as_of)) - timedelta(days=audit.policy.audit_settled_days)


def _day(time: datetime) -> date:
    return time.astimezone(UTC).date()


FIGURES: dict[str, tuple[Figure, ...]] = {
    "fct_attribution": (_bounds, _changes("rows", history="rows")),
    "attribution_by_channel": (
        _changes("revenue_cents", "conversions", history="conversions"),
        _share_rise("unattributed"),
    ),
    "attribution_by_campaign": (_changes("revenue_cents", history="conversions"), _share_rise("without_campaign")),
    "path_summary": (_bounds,),
    "channel_transitions": (_bounds,),
    "channel_removal_effects": (_bounds,),
    "channel_credit_intervals": (_bounds,),
    "attribution_accuracy": (_bounds,),
    "campaign_performance": (_falls("sent", "delivered", "converted", history="delivered"),),
    "channel_roi": (_bounds, _changes("cost_cents", history="conversions")),
    "campaign_roi": (_bounds,),
    "marketing_roi_summary": (_days_lost,),
    # Each by a history of its own: a few credited ones of many invites change by chance alone.
    "fct_invites": (_changes("rows", history="rows"), _changes("credited", history="credited")),
    "viral_coefficient_daily": (
        _bounds,
        _changes("cohort_users", history="cohort_users"),
        _changes("credited_joins", history="credited_joins"),
    ),
    "viral_backtest": (_bounds,),
    "fct_referrals": (_bounds,),
    "viral_trees": (_bounds,),
    "viral_generations": (_bounds,),
    "viral_lag_distribution": (_bounds,),
    "viral_users_by_hour": (_bounds,),
    "super_connectors": (_bounds,),
    "viral_incentives": (_bounds,),
    "viral_headline": (_bounds,),
    "viral_coefficient_daily_by_user_type": (_bounds,),
    "viral_coefficient_weekly": (_bounds,),
    "viral_spread": (_bounds,),
    "viral_levers": (_bounds,),
    "viral_forecasts": (_bounds,),
    "integration_health": (_bounds,),
    "success_criteria": (_bounds,),
    "system_health": (_bounds,),
    "content_opportunities": (_bounds,),
    "content_performance": (_bounds,),
}
