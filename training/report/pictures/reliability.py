"""Draw whether the confidence can be read as a probability."""

from __future__ import annotations

import numpy as np

from training.report.pictures.style import FAINT, INK, SKY, VERMILION, as_percent, canvas, png


def reliability_diagram(reliability: dict[str, np.ndarray], ece: float) -> bytes:
    """Draw accuracy by confidence, and below it the number of images by confidence."""
    count, accuracy = reliability["count"], reliability["accuracy"]
    edges = np.linspace(0, 1, len(count) + 1)
    middles, width, filled = (edges[1:] + edges[:-1]) / 2, 0.92 / len(count), count > 0
    with canvas(5.4, 5.2) as figure:
        grid = figure.add_gridspec(2, 1, height_ratios=(3, 1))
        upper = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        confidence = reliability["confidence"]
        upper.bar(middles[filled], accuracy[filled], width, color=SKY, label="accuracy")
        upper.bar(
            middles[filled],
            (confidence - accuracy)[filled],
            width,
            accuracy[filled],
            color="none",
            edgecolor=VERMILION,
            hatch="////",
            linewidth=1,
            label="gap to the confidence",
        )
        upper.plot([0, 1], [0, 1], color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="perfect")
        upper.set(xlim=(0, 1), ylim=(0, 1.02))
        upper.set_ylabel("accuracy")
        upper.set_title(f"Calibration error (ECE) {ece:.3f}")
        upper.legend(loc="upper left")
        lower.bar(middles, count, width, color=FAINT)
        lower.set_xlabel("confidence")
        lower.set_ylabel("images")
        for axes in (upper, lower):
            axes.grid(True, axis="y")
        as_percent(upper, "x", "y")
        return png(figure)
