"""The health of neighbours, of the parts of the system, and whether success is there: by looking at every event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.oracles.attribution import Row
from tests.oracles.feeds import Feeds, Record, instant, visible_events
from tests.oracles.policy import Policy, number, span
from tests.oracles.rounding import ratio

MICROSECOND = timedelta(microseconds=1)
MINUTE_US = 60_000_000

Judgement = tuple[str, str, str, str]
"""Measure, the event type that tells it, how it must stand to a number of the policy, and that."""
MEASURES: dict[str, Judgement] = {
    "dashboard": ("heartbeat_age_minutes", "heartbeat", "<=", "integration_heartbeat_max_minutes"),
    "viral": ("sync_rate", "sync", ">=", "viral_sync_min_rate"),
    "success": ("trigger_accuracy", "trigger", ">=", "trigger_min_accuracy"),
    "offline": ("queue_depth", "queue", "<=", "offline_queue_max_depth"),
}
FROM_SCORECARD = (
    "viral_days_above_target",
    "campaign_conversion_rate",
    "marketing_roi_pct",
    "attributed_revenue_cents",
)


@dataclass(frozen=True)
class Service:
    """What the engine knew of itself when a build began. samples: (metric, time, value, low, high, size), in any order.
    incidents: (severity, opened, closed). seen_up: minutes in which it was looked at."""

    began_at: datetime
    samples: Sequence[tuple[str, datetime, float | None, float | None, float | None, int | None]] = ()
    incidents: Sequence[tuple[str, datetime, datetime | None]] = ()
    seen_up: Sequence[datetime] = ()
    _none: tuple = field(default=(None, None, None, None, None), repr=False)

    def newest(self, metric: str, policy: Policy) -> tuple[Any, ...]:
        """(time, value, low, high, size) of the last sample before the build, unless it is too old."""
        oldest = self.began_at - timedelta(hours=int(number(policy, "metric_max_age_hours")))
        seen = [sample[1:] for sample in self.samples if sample[0] == metric and oldest < sample[1] <= self.began_at]
        return max(seen, key=lambda sample: sample[0], default=self._none)


def integration_health(feeds: Feeds, as_of: datetime, policy: Policy) -> list[Row]:
    """A row per neighbour: its signs of life, and whether its work got done in the days before as_of."""
    events = visible_events(feeds, "integration_events", as_of)
    since = as_of - span(policy, "integration_days")
    seen_at = max((instant(event["occurred_at"]) for event in events), default=as_of)
    rows = []
    for integration, (measure, event_type, comparison, target_name) in MEASURES.items():
        own = [event for event in events if event["integration"] == integration]
        beats = [event for event in own if event["event_type"] == "heartbeat"]
        good = [instant(event["occurred_at"]) for event in beats if event["status"] == "ok"]
        last = max(good, default=None)
        age = None if last is None else ratio((seen_at - last) // MICROSECOND, MINUTE_US)
        recent = [event for event in own if event["event_type"] == event_type and instant(event["occurred_at"]) > since]
        value, expected = (age, None) if measure == "heartbeat_age_minutes" else _work(measure, recent)
        target = ratio(number(policy, target_name), 1)
        is_late = age is not None and age > number(policy, "integration_heartbeat_max_minutes")
        is_few = expected is not None and expected < number(policy, "integration_min_expected")
        misses = _judged(value, comparison, target) == "missed" and not is_few
        if is_late or (beats and not good) or misses:
            status = "failing"
        else:
            status = "no_data" if last is None or value is None or is_few else "healthy"
        rows.append(
            {
                "integration": integration,
                "status": status,
                "heartbeat_at": last,
                "heartbeat_age_minutes": age,
                "measure": measure,
                "value": value,
                "target": target,
                "comparison": comparison,
                "expected": expected,
                "events": len(recent),
                "failed": sum(event["status"] == "failed" for event in recent),
                "as_of": as_of,
            }
        )
    return rows


def _work(measure: str, events: Sequence[Record]) -> tuple[Decimal | None, int | None]:
    """(value, how much was expected)."""
    if measure == "queue_depth":
        told = [event for event in events if event.get("queue_depth") is not None]
        last = max(told, key=lambda event: (instant(event["occurred_at"]), event["event_id"]), default=None)
        return (None if last is None else ratio(last["queue_depth"], 1)), None
    pairs = []
    for event in events:
        came = event.get("actual")
        if came is None and event["status"] == "failed":
            came = 0
        if event.get("expected") is not None and came is not None:
            pairs.append((event["expected"], came))
    expected = sum(due for due, _came in pairs)
    if measure == "sync_rate":
        return ratio(sum(min(due, came) for due, came in pairs), expected), expected
    accuracy = ratio(expected - sum(abs(due - came) for due, came in pairs), expected)
    return (None if accuracy is None else max(accuracy, ratio(0, 1))), expected


def success_criteria(
    scorecard: Sequence[Row], integrations: Sequence[Row], service: Service, as_of: datetime, policy: Policy
) -> list[Row]:
    """The criteria of success; evidence, which is for people, left out."""
    goals = {row["metric"]: row for row in scorecard}
    rows = [
        _criterion(
            metric,
            goals[metric]["value"],
            goals[metric]["comparison"],
            goals[metric]["target"],
            (goals[metric]["period_start_on"], goals[metric]["period_end_on"]),
            as_of,
        )
        for metric in FROM_SCORECARD
    ]
    hours_old = timedelta(hours=int(number(policy, "metric_max_age_hours")))
    for criterion, metric, comparison, target, least in (
        ("response_time_p99_ms", "operations_p99_ms", "<", "performance_threshold_ms", "operations_min_sample"),
        ("uptime", "uptime", ">=", "uptime_target", "error_budget_burn_minutes"),
    ):
        at, value, _low, _high, size = service.newest(metric, policy)
        known = value is not None and (size or 0) >= number(policy, least)
        covered = timedelta(minutes=size) if metric == "uptime" and known else hours_old
        period = _days(at - covered, at) if known else (None, None)
        found = _exactly(value) if known else None
        rows.append(_criterion(criterion, found, comparison, number(policy, target), period, as_of))
    hours = int(number(policy, "critical_free_hours"))
    since = service.began_at - timedelta(hours=hours)
    critical = sum(
        opened <= service.began_at and (closed is None or closed > since)
        for severity, opened, closed in service.incidents
        if severity == "critical"
    )
    watched = {at.replace(second=0, microsecond=0) for at in service.seen_up if since <= at < service.began_at}
    known = critical or len(watched) >= 60 * hours * number(policy, "critical_free_min_watched")
    period = _days(since, service.began_at) if known else (None, None)
    rows.append(
        _criterion("critical_incidents", ratio(critical, 1) if known else None, "<=", Fraction(0), period, as_of)
    )
    statuses = [row["status"] for row in integrations]
    healthy = ratio(statuses.count("healthy"), 1) if "failing" in statuses or "no_data" not in statuses else None
    period = _days(as_of - span(policy, "integration_days"), as_of)
    rows.append(_criterion("integrations_passing", healthy, ">=", Fraction(len(statuses)), period, as_of))
    return rows


def system_health(
    feeds: Feeds,
    address_of: Mapping[str, str],
    scorecard: Sequence[Row],
    accuracy: Row | None,
    integrations: Sequence[Row],
    service: Service,
    as_of: datetime,
    policy: Policy,
) -> list[Row]:
    """A row per part of the system, judged by the end of its interval that is nearest to health; evidence, which is for
    people, left out.

    scorecard, integrations: rows of those marts, with their intervals. accuracy: the row of attribution_accuracy of
    the headline. address_of: recipient's address -> the key by which it is compared.
    """
    goals = {row["metric"]: row for row in scorecard}
    rows = [_delivery(feeds, address_of, as_of, policy)]
    target, floor = number(policy, "campaign_conversion_rate_target"), number(policy, "alert_conversion_rate_floor")
    for component, metric, bounds in (
        ("campaign_conversion", "recent_campaign_conversion_rate", (target, floor)),
        ("viral_coefficient", "viral_coefficient", (number(policy, "viral_coefficient_target"), None)),
    ):
        goal = goals[metric]
        rows.append(
            _component(
                component, goal["value"], ">", bounds, goal["low"], goal["high"], goal["users"], as_of, by_interval=True
            )
        )
    row = accuracy or {"accuracy_low": None, "accuracy_high": None, "conversions": None}
    bounds = number(policy, "attribution_accuracy_target"), number(policy, "attribution_accuracy_floor")
    value = goals["attribution_accuracy"]["value"]
    interval = _wide(row["accuracy_low"]), _wide(row["accuracy_high"])
    rows.append(_component("attribution", value, ">=", bounds, *interval, row["conversions"], as_of, by_interval=True))
    heard = [row["status"] for row in integrations if row["status"] != "no_data"]
    passing = ratio(heard.count("healthy"), 1) if heard else None
    bounds = Fraction(len(heard)), Fraction(1) if len(heard) > 1 else None
    rows.append(_component("integrations", passing, ">=", bounds, None, None, len(heard), as_of))
    for component, metric, comparison, healthy_at, critical_at, least in (
        ("ai_content", "ai_success_rate", ">=", "ai_success_target", "ai_success_floor", "content_breaker_min_jobs"),
        ("response_time", "operations_p99_ms", "<", "performance_threshold_ms", None, "operations_min_sample"),
        ("uptime", "uptime", ">=", "uptime_target", None, "error_budget_burn_minutes"),
    ):
        at, value, low, high, size = service.newest(metric, policy)
        if (size or 0) < number(policy, least):
            value = None
        bounds = number(policy, healthy_at), None if critical_at is None else number(policy, critical_at)
        found, *interval = (_exactly(one) for one in (value, low, high))
        row = _component(component, found, comparison, bounds, *interval, size, as_of)
        rows.append(row | {"measured_at": at})
    return rows


def _delivery(feeds: Feeds, address_of: Mapping[str, str], as_of: datetime, policy: Policy) -> Row:
    """Of recipients first sent to in the days that count, those who were ever delivered to."""
    until = as_of - timedelta(hours=int(number(policy, "campaign_delivery_wait_hours")))
    since = until - span(policy, "campaign_delivery_days")
    first_sent: dict[tuple[str, str], datetime] = {}
    delivered = set()
    for event in visible_events(feeds, "campaign_events", as_of):
        recipient = event["campaign_id"], address_of[event["recipient_email"]]
        at = instant(event["occurred_at"])
        if event["event_type"] == "sent":
            first_sent[recipient] = min(at, first_sent.get(recipient, at))
        elif event["event_type"] == "delivered":
            delivered.add(recipient)
    sent = [recipient for recipient, at in first_sent.items() if since < at <= until]
    enough = len(sent) >= number(policy, "campaign_delivery_min_recipients")
    value = ratio(sum(recipient in delivered for recipient in sent), len(sent)) if enough else None
    bounds = number(policy, "campaign_delivery_target"), number(policy, "campaign_delivery_floor")
    return _component("campaign_delivery", value, ">=", bounds, None, None, len(sent), as_of)


def _component(
    component: str,
    value: Decimal | None,
    comparison: str,
    bounds: tuple[Fraction, Fraction | None],
    low: Decimal | None,
    high: Decimal | None,
    size: int | None,
    as_of: datetime,
    *,
    by_interval: bool = False,
) -> Row:
    """by_interval: without one nothing is said to be critical."""
    healthy_at, critical_at = bounds
    status = "no_data"
    if value is not None:
        best = max(value, high or value) if comparison.startswith(">") else min(value, value if low is None else low)
        if _judged(best, comparison, healthy_at) == "met":
            status = "healthy"
        else:
            is_sure = not by_interval or high is not None
            status = "critical" if critical_at is not None and best < critical_at and is_sure else "degraded"
    return {
        "component": component,
        "status": status,
        "value": value,
        "comparison": comparison,
        "healthy_at": ratio(healthy_at, 1),
        "critical_at": None if critical_at is None else ratio(critical_at, 1),
        "low": low,
        "high": high,
        "size": size,
        "measured_at": as_of,
        "as_of": as_of,
    }


def _criterion(
    criterion: str,
    value: Decimal | None,
    comparison: str,
    target: Fraction | Decimal,
    period: tuple[date | None, date | None],
    as_of: datetime,
) -> Row:
    return {
        "criterion": criterion,
        "value": value,
        "target": ratio(target, 1),
        "comparison": comparison,
        "status": _judged(value, comparison, target),
        "period_start_on": period[0],
        "period_end_on": period[1],
        "as_of": as_of,
    }


def _judged(value: Decimal | None, comparison: str, target: Fraction | Decimal) -> str:
    if value is None:
        return "no_data"
    found, wanted = Fraction(value), Fraction(target)
    is_met = {">": found > wanted, ">=": found >= wanted, "<": found < wanted, "<=": found <= wanted}[comparison]
    return "met" if is_met else "missed"


def _days(start: datetime, end: datetime) -> tuple[date, date]:
    return start.astimezone(UTC).date(), (end - MICROSECOND).astimezone(UTC).date()


def _exactly(value: float | None) -> Decimal | None:
    """A measured number as people write it."""
    return None if value is None else ratio(Fraction(repr(value)), 1)


def _wide(value: Decimal | None) -> Decimal | None:
    return None if value is None else ratio(value, 1)
