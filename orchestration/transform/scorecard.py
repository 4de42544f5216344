"""[pure] The scorecard in words that a person likes to read."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

NAMES = {
    "viral_coefficient": "Viral coefficient (K)",
    "campaign_conversion_rate": "Campaign conversion rate",
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
    return f"{value:.3f}"


def period(row: dict[str, Any]) -> str:
    """The days that a row covers."""
    if row["period_start_on"] is None:
        return NOTHING
    return f"{row['period_start_on']} to {row['period_end_on']}"


def lines(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    """Goal, value, target, status and period of each row of marts.scorecard."""
    return [
        (
            NAMES.get(row["metric"], row["metric"]),
            told(row["metric"], row["value"]),
            f"{row['comparison']} {told(row['metric'], row['target'])}",
            row["status"].replace("_", " "),
            period(row),
        )
        for row in rows
    ]


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The scorecard as a table for the Dagster UI."""
    head = ["| goal | value | target | status | period |", "| --- | ---: | ---: | --- | --- |"]
    return "\n".join(head + [f"| {' | '.join(line)} |" for line in lines(rows)])
