"""Mixup and CutMix: each image of a batch gets a part of another, and its label the same part. NumPy only."""

from __future__ import annotations

import numpy as np


class Mixer:
    """Mixes a batch with a permutation of itself; one share for the whole batch. Where both are on, either by turns.

    Args:
        mixup: parameter of the Beta distribution of the share that is blended (Zhang et al., 2018); 0 is off.
        cutmix: the same for the share of the area that is pasted (Yun et al., 2019); 0 is off.
    """

    def __init__(self, mixup: float, cutmix: float) -> None:
        self._ways = [(way, alpha) for way, alpha in ((_blend, mixup), (_paste, cutmix)) if alpha > 0]

    @property
    def active(self) -> bool:
        """Whether it does anything."""
        return bool(self._ways)

    def __call__(
        self, images: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mixed copies of `images`, (B, S, S, 3) uint8, and `targets`, (B, C) float32."""
        way, alpha = self._ways[rng.integers(len(self._ways))]
        others = rng.permutation(len(images))
        mixed, share = way(images, images[others], float(rng.beta(alpha, alpha)), rng)
        blended: np.ndarray = targets * np.float32(1 - share) + targets[others] * np.float32(share)
        return mixed, blended


def _blend(images: np.ndarray, others: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    blended = images * np.float32(1 - share) + others * np.float32(share)
    return np.rint(blended).astype(np.uint8), share


def _paste(images: np.ndarray, others: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    size = images.shape[1]
    half = round(size * share**0.5) / 2
    x, y = rng.integers(size, size=2)
    left, right = max(0, round(x - half)), min(size, round(x + half))
    top, bottom = max(0, round(y - half)), min(size, round(y + half))
    pasted = images.copy()
    pasted[:, top:bottom, left:right] = others[:, top:bottom, left:right]
    # The box may lie partly outside; the label follows what is seen.
    return pasted, (right - left) * (bottom - top) / size**2
