"""Draws the panels of a dashboard in the grid, with the colours and the legends that Grafana gives them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import Image

from benchmarks.pictures.board import Panel, text
from training.report.pictures.style import library

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 24
_WIDTH, _ROW, _HEADER = 10.0, 0.272, 0.4
"""Inches: of the picture, of a grid row, of the dashboard's title."""
_GAP = 0.055
_DPI = 150
_GROUND, _PANEL, _LINE, _INK, _FAINT = "#111217", "#181b1f", "#2c3038", "#d8d9e2", "#8e909a"
_COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d", "#ffb357")
"""Grafana's classic palette; it gives the series of a panel these colours in turn."""


def draw(panels: list[Panel], title: str, seconds: float) -> Image.Image:
    """Return a picture of panels that show a run of so many seconds."""
    matplotlib = library()
    from matplotlib.figure import Figure

    settings: Any = _style()
    rows = max(panel.y + panel.height for panel in panels)
    height = _HEADER + rows * _ROW + _GAP
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(_WIDTH, height), facecolor=_GROUND)
        figure.text(2 * _GAP / _WIDTH, 1 - 0.5 * _HEADER / height, title, fontsize=10, weight="bold", va="center")
        for panel in panels:
            left, width = panel.x * _WIDTH / _COLUMNS + _GAP, panel.width * _WIDTH / _COLUMNS - _GAP
            top, tall = _HEADER + panel.y * _ROW, panel.height * _ROW - _GAP
            if panel.x + panel.width == _COLUMNS:
                width -= _GAP
            _panel(figure, panel, (left, height - top - tall, width, tall), seconds)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=_DPI)
    return Image.open(stream).convert("RGB")


def _style() -> dict[str, Any]:
    return {
        "font.family": ["Inter", "DejaVu Sans"],
        "font.size": 7.5,
        "text.color": _INK,
        "text.parse_math": False,
        "axes.facecolor": _PANEL,
        "axes.edgecolor": _LINE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": _LINE,
        "grid.linewidth": 0.6,
        "xtick.color": _LINE,
        "ytick.color": _LINE,
        "xtick.labelcolor": _FAINT,
        "ytick.labelcolor": _FAINT,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "lines.linewidth": 1.3,
    }


def _panel(figure: Figure, panel: Panel, place: tuple[float, float, float, float], seconds: float) -> None:
    """Draw one panel; `place` is its left, bottom, width and height in inches."""
    from matplotlib.patches import FancyBboxPatch

    across, up = figure.get_size_inches()
    left, bottom, width, tall = place
    frame = FancyBboxPatch(
        (left, bottom),
        width,
        tall,
        boxstyle="round,pad=0,rounding_size=0.03",
        transform=figure.dpi_scale_trans,
        facecolor=_PANEL,
        edgecolor=_LINE,
        linewidth=0.6,
        zorder=-1,
    )
    figure.add_artist(frame)
    figure.text(
        (left + 0.09) / across, (bottom + tall - 0.14) / up, panel.title, fontsize=8, weight="bold", va="center"
    )
    if panel.kind == "stat":
        _stat(figure, panel, ((left + width / 2) / across, (bottom + 0.42 * tall) / up))
        return
    inner = (left + 0.52, bottom + 0.45, width - 0.7, tall - 0.8)
    axes = figure.add_axes((inner[0] / across, inner[1] / up, inner[2] / across, inner[3] / up))
    _lines(axes, panel, seconds)


def _stat(figure: Figure, panel: Panel, centre: tuple[float, float]) -> None:
    """Write the last value, and below it the series' name where that is more than one word."""
    shown = panel.series[0]
    value = text(shown.values[-1], panel.unit)
    figure.text(*centre, value, fontsize=19, color=_COLOURS[0], ha="center", va="center")
    if " " in shown.name:
        figure.text(centre[0], centre[1] - 0.05, shown.name, fontsize=6, color=_FAINT, ha="center", va="center")


def _lines(axes: Axes, panel: Panel, seconds: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

    for series, colour in zip(panel.series, _COLOURS, strict=False):
        axes.plot(series.seconds, series.values, color=colour, label=series.name)
        axes.fill_between(series.seconds, series.values, color=colour, alpha=0.08, linewidth=0)
    axes.set_xlim(0, seconds)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value, panel.unit)))
    axes.xaxis.set_major_locator(MultipleLocator(60))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 60:g} min" if value else "0"))
    axes.tick_params(labelsize=6.5)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.09, -0.13),
        ncols=len(panel.series),
        fontsize=6.8,
        handlelength=1,
        handletextpad=0.4,
        columnspacing=1.1,
        borderaxespad=0,
    )
