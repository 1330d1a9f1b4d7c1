"""Draw a run as SVG: rates over time, response times over time, and their distribution."""

from __future__ import annotations

import io
import math
import os
from typing import TYPE_CHECKING, Any

from loadtests.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette can be distinguished with any kind of colour vision.
_BLUE, _GREEN, _VERMILION, _INK, _GRID = "#0072B2", "#009E73", "#D55E00", "#1f2933", "#e4e7eb"
_SHARES = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999]


def rates(run: Run) -> str:
    """Draw the requests due, answered and failed in each second."""
    seconds = _seconds(run)

    def draw(axes: Axes) -> None:
        tallies = [run.record.seconds.get(second) for second in seconds]
        due = [run.shape.due(second + 1) - run.shape.due(second) for second in seconds]
        axes.plot(seconds, due, color=_INK, linewidth=1, linestyle=":", label="due")
        axes.plot(seconds, [tally.good if tally else 0 for tally in tallies], color=_GREEN, label="answered")
        failed = [tally.failed if tally else 0 for tally in tallies]
        if any(failed):
            axes.plot(seconds, failed, color=_VERMILION, label="failed")
        axes.set(title="Requests, by the second in which they were due", xlabel="time (s)", ylabel="requests/s")
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="best")

    return _svg(draw)


def response_times(run: Run) -> str:
    """Draw the p50 and p99 of the response time in each second, and the limits of the service levels."""
    seconds = [second for second in _seconds(run) if second in run.record.seconds]
    seconds = [second for second in seconds if run.record.seconds[second].good]

    def draw(axes: Axes) -> None:
        for share, colour in ((0.5, _BLUE), (0.99, _VERMILION)):
            values = [run.record.seconds[second].latency.percentile(share) for second in seconds]
            axes.plot(seconds, values, color=colour, label=f"p{100 * share:g}")
        for level in run.levels:
            if level.name != "errors":
                axes.axhline(level.limit, color=_INK, linewidth=1, linestyle="--")
                axes.annotate(
                    f"{level.name} limit {level.text}",
                    (1, level.limit),
                    xycoords=("axes fraction", "data"),
                    ha="right",
                    va="bottom",
                )
        axes.set_yscale("log")
        axes.set(title="Response time, from when a request was due", xlabel="time (s)", ylabel="ms")
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="best")
        _plain_numbers(axes, "y")

    return _svg(draw)


def distribution(run: Run) -> str:
    """Draw the response time at p50, p90, p99 and so on."""
    latency = run.record.between(0, int(run.now) + 1).latency
    shares = [share for share in _SHARES if latency.total * (1 - share) >= 1] or _SHARES[:1]

    def draw(axes: Axes) -> None:
        # Each further nine takes the same distance: 90%, 99%, 99.9%.
        places = [-math.log10(1 - share) for share in shares]
        axes.plot(places, [latency.percentile(share) for share in shares], color=_BLUE, marker="o", markersize=3)
        axes.set_xticks(places, [f"{100 * share:g}%" for share in shares])
        axes.set_ylim(bottom=0)
        axes.set(title="Response time by percentile", xlabel="share of requests answered within this time", ylabel="ms")

    return _svg(draw)


def _seconds(run: Run) -> range:
    last = max(run.record.seconds, default=0)
    return range(last + 1)


def _plain_numbers(axes: Axes, axis: str) -> None:
    from matplotlib.ticker import FuncFormatter

    shown = getattr(axes, f"{axis}axis")
    shown.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    # Minor ticks get numbers only if there are few major ones.
    low, high = shown.get_view_interval()
    some = FuncFormatter(lambda value, _: f"{value:g}" if high < 100 * low and f"{value:g}"[0] in "25" else "")
    shown.set_minor_formatter(some)


def _svg(draw: Any) -> str:
    """Return the <svg> element of what `draw` draws."""
    named = os.environ.pop("MPLBACKEND", None)  # a notebook's, which isn't installed here, makes the import fail
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    from matplotlib.figure import Figure

    settings: Any = {
        "font.size": 9,
        "svg.fonttype": "none",  # the browser's own font keeps the file small and its text searchable
        "font.family": "sans-serif",
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _GRID,
        "legend.frameon": False,
        "svg.hashsalt": "load test",
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(8.6, 2.8), layout="constrained")
        draw(figure.subplots())
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
