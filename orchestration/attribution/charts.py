"""What a build's fits of attribution look like."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from orchestration.attribution.truth import SURVEY
from orchestration.fitting.charts import chart
from orchestration.warehouse.path_statistics import AccuracyRow, CreditInterval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANNELS_SHOWN = 12


def accuracy_over_time(rows: Sequence[AccuracyRow], *, calibration_id: int, floor: float, target: float) -> str | None:
    """Accuracy of each model by the end of its period, against surveys; None while no period has enough of them."""
    shown = [
        row
        for row in rows
        if row.truth_method == SURVEY and row.calibration_id == calibration_id and row.status != "no_data"
    ]
    if not shown:
        return None

    def draw(axes: "Axes") -> None:
        for model in dict.fromkeys(row.attribution_model for row in shown):
            points = sorted((row.period_end_on, row.accuracy) for row in shown if row.attribution_model == model)
            _line(axes, model, points)
        axes.axhline(target, color="grey", linewidth=0.8, linestyle="--")
        axes.axhline(floor, color="grey", linewidth=0.8, linestyle=":")
        axes.set_ylabel("accuracy (target dashed, floor dotted)")
        axes.set_title(f"Attribution accuracy against surveys, calibration {calibration_id}")
        axes.tick_params(axis="x", rotation=30)

    return chart(draw, "accuracy over time")


def credit_by_model(rows: Sequence[CreditInterval]) -> str | None:
    """Credited conversions of the largest channels, the models side by side, with their intervals; None without any."""
    if not rows:
        return None
    models = list(dict.fromkeys(row.attribution_model for row in rows))
    most: dict[str, float] = {}
    for row in rows:
        most[row.channel] = max(most.get(row.channel, 0.0), float(row.conversions))
    channels = sorted(most, key=lambda channel: (-most[channel], channel))[:CHANNELS_SHOWN]
    found = {(row.attribution_model, row.channel): row for row in rows}

    def draw(axes: "Axes") -> None:
        width = 0.8 / len(models)
        for number, model in enumerate(models):
            bars = [found[model, channel] for channel in channels]
            heights = [float(one.conversions) for one in bars]
            below = [max(height - float(one.conversions_low), 0.0) for height, one in zip(heights, bars, strict=True)]
            above = [max(float(one.conversions_high) - height, 0.0) for height, one in zip(heights, bars, strict=True)]
            places = [place + number * width for place in range(len(channels))]
            axes.bar(places, heights, width, yerr=(below, above), error_kw={"linewidth": 0.6}, label=model)
        axes.set_xticks([place + 0.4 - width / 2 for place in range(len(channels))], channels, rotation=30, ha="right")
        axes.set_ylabel("credited conversions, 95 % interval")
        axes.set_title("Credit by model")

    return chart(draw, "credit by model")


def _line(axes: "Axes", model: str, points: Sequence[tuple[date, float]]) -> None:
    days, values = zip(*points, strict=True)
    axes.plot(days, values, marker="o", markersize=3, linewidth=1.2, label=model)
