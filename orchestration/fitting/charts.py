"""Charts for people to look at in the Dagster UI: PNG in Markdown, small enough for an event log."""

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES, DPI = (9.0, 4.5), 80


def chart(draw: Callable[["Axes"], None], title: str) -> str:
    """What `draw` puts on the axes, its legend below; title: of the picture, for those who cannot see it."""
    # Its import takes a second: not at the start of every process.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    draw(axes := figure.add_subplot())
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", fontsize=7, ncols=7)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return f"![{title}](data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()})"
