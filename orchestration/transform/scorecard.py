"""[pure] The scorecard in words that a person likes to read."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

NAMES = {
    "viral_coefficient": "Viral coefficient (K)",
    "viral_days_above_target": "Latest days with K above target",
    "campaign_conversion_rate": "Campaign conversion rate",
    "recent_campaign_conversion_rate": "The same of late",
    "attributed_revenue_cents": "Attributed revenue",
    "marketing_roi_pct": "Marketing ROI",
    "attribution_accuracy": "Attribution accuracy",
}
NOTHING = "-"


def told(metric: str, value: Decimal | None) -> str:
    """A value in the unit that its metric's name says: rates as percent, cents as units of currency."""
    if value is None:
        return NOTHING
    if metric.endswith("_cents"):
        return f"{value / 100:,.0f}"
    if metric.endswith("_pct"):
        return f"{value:,.1f} %"
    if metric.endswith(("_rate", "_accuracy")):
        return f"{value * 100:.1f} %"
    if "_days_" in metric:
        return f"{value:.0f}"
    return f"{value:.3f}"


def period(row: dict[str, Any]) -> str:
    """The days that a row covers."""
    if row["period_start_on"] is None:
        return NOTHING
    return f"{row['period_start_on']} to {row['period_end_on']}"


def interval(row: dict[str, Any]) -> str:
    """The 95 % interval of a row's value, where it has one."""
    if row["low"] is None or row["high"] is None:
        return NOTHING
    return f"{told(row['metric'], row['low'])} to {told(row['metric'], row['high'])}"


def basis(row: dict[str, Any]) -> str:
    """What a value that is seen before its time rests on: how many people, and how much of theirs shows."""
    if not row["users"] or row["maturity"] is None:
        return ""
    who, what = ("recipients", "conversions") if row["metric"].endswith("_rate") else ("users", "joins")
    return f"{row['users']:,} {who}, of whose {what} {row['maturity'] * 100:.0f} % show by now"


def lines(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, str, str, str]]:
    """Goal, value, its interval, target, status and period of each row of marts.scorecard."""
    return [
        (
            NAMES.get(row["metric"], row["metric"]),
            told(row["metric"], row["value"]),
            interval(row),
            f"{row['comparison']} {told(row['metric'], row['target'])}",
            row["status"].replace("_", " "),
            period(row),
        )
        for row in rows
    ]


def footnotes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each value that rests on something a reader should know."""
    return [f"{NAMES.get(row['metric'], row['metric'])}: {told_basis}" for row in rows if (told_basis := basis(row))]


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The scorecard as a table for the Dagster UI."""
    head = [
        "| goal | value | 95 % interval | target | status | period |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    table = "\n".join(head + [f"| {' | '.join(line)} |" for line in lines(rows)])
    return "\n\n".join([table, *footnotes(rows)])
