"""Warm a model up: run it on its golden images, measure its cost, and choose from that how to run it."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

import imaging
from bento import startup
from bento.inference import explain
from bento.inference.cost import CostCurve
from bento.models import runtime
from bento.models.model import ServedModel
from bento.models.runtime import Runtime
from bento.settings import Settings
from imaging.gradcam import GradCam

INLINE_BELOW = 0.001
"""Seconds for decoding and inference of one image below which it runs on the event loop. A thread would add 0.05 to
0.1 ms of CPU; on the event loop, nothing else is answered meanwhile."""

_BUDGET = 1.5
"""Seconds that measuring may take, because every cold start includes it."""

_REPEATS = 3


@dataclass(frozen=True)
class WarmModel:
    """A model that has been run, with its measured cost."""

    served: ServedModel
    run: Runtime
    cost: CostCurve
    decode_seconds: float
    inline: bool
    """Whether images are classified on the event loop."""
    cam: GradCam | str
    """Grad-CAM of the model, or the reason why there is none."""


def warm_up(served: ServedModel, settings: Settings) -> WarmModel:
    """Load the model and measure it with every batch size that may be used."""
    golden = served.golden_images
    run = runtime.load(served.runtime, served.path, threads=1)
    startup.ended("model")
    image, decode_seconds = golden_pixels(golden, served.image_size, served.resize)
    cost = measure(run, image, settings.max_batch_size)
    cheap = decode_seconds + cost.seconds(1) < INLINE_BELOW
    inline = cheap if settings.execution == "auto" else settings.execution == "inline"
    if not inline and settings.threads > 1:
        run = runtime.load(served.runtime, served.path, settings.threads)
        cost = measure(run, image, settings.max_batch_size)
    return WarmModel(served, run, cost, decode_seconds, inline, explain.prepare(run, image))


def golden_pixels(golden: list[bytes], size: int, resize: imaging.Resize) -> tuple[np.ndarray, float]:
    """Decode the golden images. Return the pixels of one, (S, S, 3) uint8, and the median seconds per image."""
    seconds = []
    for _ in range(_REPEATS):
        for encoded in golden:
            started = perf_counter()
            pixels = imaging.decode(encoded, size, resize=resize)
            seconds.append(perf_counter() - started)
    return pixels, float(np.median(seconds))


def measure(run: Runtime, image: np.ndarray, most: int) -> CostCurve:
    """Measure calls with 1, 2, 4, ... images, up to `most` or until larger calls gain nothing."""
    cost = CostCurve()
    started = perf_counter()
    before = float("inf")
    sizes = [2**i for i in range(most.bit_length()) if 2**i < most] + [most]
    for size in sizes:
        batch = np.stack([image] * size)
        # The first call with a size also allocates memory, so it isn't measured.
        run(batch)
        seconds = min(_timed(run, batch) for _ in range(_REPEATS))
        cost.update(size, seconds)
        each = seconds / size
        if (each > 0.95 * before and size > 4) or perf_counter() - started + 2 * _REPEATS * seconds > _BUDGET:
            break
        before = each
    return cost


def _timed(run: Runtime, batch: np.ndarray) -> float:
    started = perf_counter()
    run(batch)
    return perf_counter() - started
