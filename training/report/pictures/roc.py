"""Draw how well each class is separated from the others, at every threshold."""

from __future__ import annotations

from itertools import product

import numpy as np

from training.report.pictures.style import BLUE, FAINT, GREEN, INK, ORANGE, PINK, VERMILION, canvas, captions, png

_NAMED_CURVES = 10
_WORST_CURVES = 5
_CURVE_STYLES = list(product(("-", (0, (4, 2))), (BLUE, VERMILION, GREEN, PINK, ORANGE)))


def roc_curves(
    curves: dict[str, tuple[np.ndarray, np.ndarray]], auc: dict[str, float], class_names: list[str]
) -> bytes:
    """Draw one-vs-rest ROC curves: every class of up to 10, otherwise their mean and the five worst.

    Args:
        curves: class name -> (false positive rates, true positive rates), as `metrics.roc_curves` returns.
        auc: class name -> area under that curve.
        class_names: in label order.
    """
    caption = dict(zip(class_names, captions(class_names, 26), strict=True))
    shown = sorted(curves, key=lambda name: auc[name], reverse=True)
    with canvas(5.4, 5.2) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (1, 2)))
        if len(shown) > _NAMED_CURVES:
            grid = np.linspace(0, 1, 501)
            mean = np.mean([np.interp(grid, *curves[name]) for name in shown], axis=0)
            area = float(np.mean([auc[name] for name in shown]))
            axes.plot(
                [0, *grid],
                [0, *mean],
                color=INK,
                linewidth=2.6,
                label=f"mean of {len(shown)} classes  {area:.3f}",
            )
            shown = shown[-_WORST_CURVES:]
        for name, (dashes, colour) in zip(shown, _CURVE_STYLES, strict=False):
            axes.plot(*curves[name], color=colour, linestyle=dashes, label=f"{caption[name]}  {auc[name]:.3f}")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")
        axes.grid(True)
        legend = axes.legend(
            loc="lower right",
            title="class  AUC",
            alignment="left",
            fontsize=8,
            frameon=True,
            framealpha=0.85,
            edgecolor="none",
        )
        legend.get_title().set_fontweight("bold")
        return png(figure)
