"""Measure the limits of a model's answers on held-out images: novelty, and sets that hold the true class."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from model_format import limits
from model_format.layout import FILES, Form, forms
from model_format.limits import LEAST_IMAGES, Limits
from training.data.dataset import Part
from training.forms.onnx_model import OnnxModel
from training.report import figures
from training.report import limits as measured

logger = logging.getLogger(__name__)

MOST_HELD_OUT, MOST_TESTED = 5000, 2000
"""More images would take minutes with a large network: with these, 1% is known to lie between 0.7% and 1.3%."""

_REFIT = "with --refit no image was held out to measure them on"


def write(entry: Path, held_out: Part | None, test: Part, seed: int) -> figures.Limits:
    """Write the limits of each ONNX form into a store entry; return the report's section about them.

    Args:
        entry: with its ONNX forms, whose graphs have `SCORES`.
        held_out: images that were not trained on; None with `--refit`.
        test: images that the section is measured on.
        seed: draws images of large parts, and makes unknown images.
    """
    if held_out is None or len(held_out) < LEAST_IMAGES:
        found = _REFIT
        if held_out is not None:
            found = f"{len(held_out)} held-out images are too few; at least {LEAST_IMAGES} are needed"
        logger.info("no novelty and no sets of classes: %s", found)
        return figures.Limits(found, 0 if held_out is None else len(held_out), None, None, [])
    rng = np.random.default_rng(seed)
    held_out, test = _some(held_out, MOST_HELD_OUT, rng), _some(test, MOST_TESTED, rng)
    models: dict[Form, OnnxModel] = {form: OnnxModel(entry / FILES[form]) for form in forms(entry) if form != "keras"}
    of_forms = {form: of_model(model, held_out) for form, model in models.items()}
    limits.write(entry, of_forms)
    served = next(iter(models))
    return describe(models[served], of_forms[served], test, rng)


def _some(part: Part, most: int, rng: np.random.Generator) -> Part:
    return part if len(part) <= most else part.select(np.sort(rng.permutation(len(part))[:most]))


def of_model(model: OnnxModel, part: Part) -> Limits:
    """Return the limits of one form, measured on images that it wasn't trained on."""
    probabilities, scores = model.answers(part.batches())
    doubt = 1 - probabilities[np.arange(len(part)), part.labels].astype(np.float64)
    return Limits(len(part), limits.quantiles(energies(scores)), limits.quantiles(doubt.tolist()))


def energies(scores: np.ndarray) -> list[float]:
    """Return the energy of each row of (N, C) scores."""
    return [limits.energy(row) for row in scores.tolist()]


def describe(model: OnnxModel, known: Limits, test: Part, rng: np.random.Generator) -> figures.Limits:
    """Return what novelty and sets do on the test images."""
    probabilities, scores = model.answers(test.batches())
    pixels, tiles = (
        energies(model.answers(shuffled(batch, side, rng) for batch in test.batches())[1])
        for side in (test.images.size, measured.TILES)
    )
    return measured.describe(known, test.labels, probabilities, energies(scores), pixels, tiles)


def shuffled(images: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return each of the images, (N, S, S, 3), cut into `side` x `side` tiles, which are put together in random order.

    Pixels that fill no whole tile are cut off, and repeated at the border.
    """
    count, size = len(images), images.shape[1]
    side = min(side, size)
    tile = size // side
    inside = images[:, : tile * side, : tile * side]
    tiles = inside.reshape(count, side, tile, side, tile, 3).transpose(0, 1, 3, 2, 4, 5)
    tiles = tiles.reshape(count, side * side, tile, tile, 3)
    order = rng.permuted(np.tile(np.arange(side * side), (count, 1)), axis=1)
    moved = tiles[np.arange(count)[:, None], order]
    moved = moved.reshape(count, side, side, tile, tile, 3).transpose(0, 1, 3, 2, 4, 5).reshape(inside.shape)
    missing = size - tile * side
    return np.pad(moved, ((0, 0), (0, missing), (0, missing), (0, 0)), mode="edge")
