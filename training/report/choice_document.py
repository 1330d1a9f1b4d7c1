"""How the network of a training was chosen, as types: a section of metrics.json."""

from __future__ import annotations

from dataclasses import dataclass

from training.report.section import Section


@dataclass(frozen=True)
class Compared(Section):
    """A candidate, and how it did on the images held out from the comparison."""

    name: str
    accuracy: float | None
    """Null if it was not tried."""
    interval: list[float] | None
    """The 95% confidence interval of the accuracy: its lower and upper end."""
    macro_f1: float | None
    """Mean F1 over the classes with held-out images."""
    seconds: float | None
    """Time of its training in the comparison."""
    milliseconds: float | None
    """Time of an image on one core, as fp32 ONNX; null if it was not measured."""
    megabytes: float | None
    """Size of the fp32 ONNX file."""
    left_out: str | None
    """Why it was not tried; null if it was."""


@dataclass(frozen=True)
class Choice(Section):
    """The comparison of networks by which `--backbone auto` chose one."""

    chosen: str
    """Name of the chosen candidate."""
    reason: str
    """Why it was chosen, in words."""
    candidates: list[Compared]
    """Empty if nothing had to be compared."""
    trained_on: int
    """Images that each candidate was trained on."""
    held_out: int
    """Images that each candidate was compared on; none of them is a test image."""
    seconds: float
    """Time of the whole comparison."""
