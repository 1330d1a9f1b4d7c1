"""The limits of a model's answers: how novel an image may be, and which set of classes holds the true one.

Both are conformal (split conformal prediction; Vovk et al., Algorithmic Learning in a Random World, 2005). Images that
were not trained on give a score each, and the rank of a new image's score among theirs is a promise that needs no
assumption about the model: the new image must only come from where they came from.

The file is a JSON object with one entry per form: `{"onnx": {"images": 500, "energy": [...], "doubt": [...]}}`.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_format.errors import FormatError
from model_format.layout import LIMITS, Form

STEPS = 1000
"""Steps between a share of 0 and of 1: shares are known to a thousandth."""

KNOWN = 0.99
"""Novelty from which an image is unknown: at most 1% of images like those of training reach it."""

LEAST_IMAGES = 100
"""Held-out images below which the threshold of 1% would lie outside all of them."""


def quantiles(scores: Iterable[float]) -> list[float]:
    """Return the scores that a new one stays at or below with a probability of at least 1, 2, 3, ... thousandths.

    The k-th is the score with rank ceil((n + 1) k / 1000) of n. The list ends where that rank is above n.
    """
    ordered = sorted(scores)
    ranks = (-(-(len(ordered) + 1) * k // STEPS) for k in range(1, STEPS))
    return [ordered[rank - 1] for rank in ranks if rank <= len(ordered)]


def energy(scores: Sequence[float]) -> float:
    """Return the energy of an image, -log(sum(exp(scores))): high if no class claims the image.

    Source: Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020.

    Args:
        scores: (C,) before the softmax.
    """
    highest = max(scores)
    return -highest - math.log(math.fsum(math.exp(score - highest) for score in scores))


@dataclass(frozen=True)
class Limits:
    """What one form of a model gave to images that it wasn't trained on."""

    images: int
    """How many images there were."""
    energy: list[float]
    """`quantiles` of the energy of each image."""
    doubt: list[float]
    """`quantiles` of 1 - probability of the true class of each image."""

    def novelty(self, energy: float) -> float:
        """Return the share of known images with a lower energy: 0 to 1, in thousandths."""
        return bisect_left(self.energy, energy) / STEPS

    def members(self, probabilities: Sequence[float], thousandths: int) -> list[int]:
        """Return the labels of the smallest set that holds the true class with a given probability, best first.

        A set is never empty: it holds the most probable class at least. With too few held-out images for the
        coverage it holds all classes.

        Source: Sadinle, Lei & Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, 2019.

        Args:
            probabilities: (C,).
            thousandths: coverage times 1,000, from 1 to 999.
        """
        most = self.doubt[thousandths - 1] if thousandths <= len(self.doubt) else 1.0
        order = sorted(range(len(probabilities)), key=lambda label: -probabilities[label])
        inside = [label for label in order if 1 - probabilities[label] <= most]
        return inside or order[:1]


def write(entry: Path, limits: Mapping[Form, Limits]) -> None:
    """Write the limits of each form into a store entry."""
    content = {form: asdict(of_form) for form, of_form in limits.items()}
    (entry / LIMITS).write_text(json.dumps(content), encoding="utf-8")


def read(entry: Path, form: Form) -> Limits | None:
    """Return the limits of a form; None if the entry was stored without them.

    The Keras form has those of the fp32 ONNX form, whose answers are the same.

    Raises:
        FormatError: the file can't be read.
    """
    path = entry / LIMITS
    try:
        stored = json.loads(path.read_bytes())["onnx" if form == "keras" else form]
        energies, doubts = ([float(number) for number in stored[name]] for name in ("energy", "doubt"))
        return Limits(int(stored["images"]), energies, doubts)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FormatError(f"{path} can't be read: {error.strerror}; train the model again") from error
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} can't be read ({type(error).__name__}); train the model again") from error
