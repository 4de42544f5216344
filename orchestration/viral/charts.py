"""What a build's fits of the viral coefficient look like."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration.fitting.charts import chart
from orchestration.warehouse.viral_statistics import BacktestRow, ForecastRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADLINE = "headline"


def said_and_turned_out(rows: Sequence[BacktestRow], *, target: float) -> str | None:
    """The headline as it would have been said day by day, beside what a dashboard shows and what turned out; None
    without any."""
    shown = sorted((row for row in rows if row.scope == HEADLINE), key=lambda row: row.replayed_on)
    if not shown:
        return None

    def draw(axes: "Axes") -> None:
        days = [row.replayed_on for row in shown]
        told = [row for row in shown if row.low is not None and row.high is not None]
        axes.fill_between(
            [row.replayed_on for row in told],
            [row.low for row in told],
            [row.high for row in told],
            alpha=0.2,
            label="95 % interval",
        )
        axes.plot(days, [row.k_said for row in shown], linewidth=1.4, label="K as said then")
        axes.plot(days, [row.k_observed for row in shown], linewidth=1.0, linestyle=":", label="joins per user so far")
        later = [row for row in shown if row.k_turned_out is not None]
        axes.plot(
            [row.replayed_on for row in later],
            [row.k_turned_out for row in later],
            linewidth=0,
            marker="o",
            markersize=3,
            label="what turned out",
        )
        axes.axhline(target, color="grey", linewidth=0.8, linestyle="--")
        axes.set_ylabel("K (target dashed)")
        axes.set_title("The viral coefficient as it was said, and as it turned out")
        axes.tick_params(axis="x", rotation=30)

    return chart(draw, "the viral coefficient, said and turned out")


def forecasts_and_joins(rows: Sequence[ForecastRow], *, horizon_days: int) -> str | None:
    """Joins forecast for so many days, by the day of the forecast, beside those that came; None without any."""
    shown = sorted((row for row in rows if row.horizon_days == horizon_days), key=lambda row: row.forecast_on)
    if not shown:
        return None

    def draw(axes: "Axes") -> None:
        days = [row.forecast_on for row in shown]
        axes.fill_between(
            days, [row.low for row in shown], [row.high for row in shown], alpha=0.2, label="95 % interval"
        )
        axes.plot(days, [row.expected_joins for row in shown], linewidth=1.4, label="forecast")
        over = [row for row in shown if row.came_joins is not None]
        axes.plot(
            [row.forecast_on for row in over],
            [row.came_joins for row in over],
            linewidth=0,
            marker="o",
            markersize=3,
            label="came",
        )
        axes.set_ylabel(f"joins in the {horizon_days} days after")
        axes.set_title("Joins as forecast, and as they came")
        axes.tick_params(axis="x", rotation=30)

    return chart(draw, "joins, forecast and come")
