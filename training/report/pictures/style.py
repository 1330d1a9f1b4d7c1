"""Define one style for all pictures: colours, fonts, and captions that the installed fonts can draw."""

from __future__ import annotations

import functools
import io
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from training.report.display import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which every kind of colour vision can distinguish.
BLUE, ORANGE, GREEN, PINK, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
PART_COLOURS = {"train": BLUE, "validation": ORANGE, "test": GREEN}
SKY = "#8fc3e8"
INK, FAINT, GRID = "#1f2933", "#6b7785", "#e4e7eb"

# The report shows 100 pixels per inch; twice as many keep pictures sharp on dense screens.
_DPI = 200

# DejaVu comes with matplotlib; the other fonts cover scripts that it lacks, on systems that have them.
_FAMILIES = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Arial Unicode MS",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)


def library() -> Any:
    """Return the module matplotlib, imported without looking at MPLBACKEND.

    A notebook's MPLBACKEND names a backend that isn't installed here, and matplotlib refuses to be imported then. The
    pictures need no backend.
    """
    named = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    return matplotlib


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of this size in inches. Draw on it and call `png` before the block ends."""
    matplotlib = library()
    from matplotlib.figure import Figure

    settings: Any = {
        "font.family": _families(),
        "font.size": 9,
        "text.parse_math": False,  # a class may be called "5$ - 10$"
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of the user's has no say
        matplotlib.rcParams.update(settings)
        yield Figure(figsize=(width, height), layout="constrained")


def png(figure: Figure) -> bytes:
    """Return `figure` as PNG: equal bytes for equal drawings."""
    stream = io.BytesIO()
    metadata = {"Software": None}
    figure.savefig(stream, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.1, metadata=metadata)
    return stream.getvalue()


def captions(class_names: list[str], most: int) -> list[str]:
    """Shorten names to `most` columns.

    The report's tables number the classes. "#3" replaces a name that no installed font can draw, and precedes one that
    would otherwise equal another name after shortening.
    """
    drawable = _drawable()
    shortened = [shorten(name, most) for name in class_names]
    uses = Counter(shortened)
    shown = []
    for i, name in enumerate(shortened):
        if not drawable.issuperset(map(ord, name)):
            shown.append(f"#{i}")
        else:
            shown.append(name if uses[name] == 1 else shorten(f"#{i} {class_names[i]}", most))
    return shown


def as_percent(axes: Axes, *axis_names: str) -> None:
    """Label the named axes ("x", "y"), whose values are fractions, in per cent."""
    from matplotlib.ticker import PercentFormatter

    for name in axis_names:
        getattr(axes, f"{name}axis").set_major_formatter(PercentFormatter(1))


@functools.cache
def _families() -> list[str]:
    library()
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [family for family in _FAMILIES if family in installed]


@functools.cache
def _drawable() -> frozenset[int]:
    library()
    from matplotlib.font_manager import findfont, get_font

    # Every font has "…" and the letters of escapes; no font draws the joiners that `printable` keeps.
    return frozenset().union(*(get_font(findfont(family)).get_charmap() for family in _families()))
