"""Leave out some of the images that the network has learned, and weigh the others more for it. NumPy only.

After Qin et al. ("InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning", ICLR 2024): each pass leaves
out at random a fraction of the images whose last loss was below the mean. The others of them get a larger weight, so
that the expected gradient stays the same.
"""

from __future__ import annotations

import numpy as np


class Pruner:
    """The last loss of each image, and the choice of the images of an epoch.

    Args:
        share: fraction of the images with a loss below the mean that a pass leaves out.
        images: their number.
    """

    def __init__(self, share: float, images: int) -> None:
        self._share = share
        self.losses = np.full(images, np.nan, np.float32)
        """(N,) float32; NaN for an image without a loss so far."""

    def epoch(self, order: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the images of an epoch, which pass each belongs to, and the weight of each image.

        An epoch always has the length of `order`: where a pass leaves images out, the next pass begins.

        Args:
            order: (M,) all images of a pass, in any order.
            rng: the source of randomness.

        Returns:
            (M,) images; (M,) int passes, from 0; and (N,) float32 weights of all images.
        """
        easy = self.losses < np.nanmean(self.losses) if np.isfinite(self.losses).any() else np.zeros(0, bool)
        if not easy.any():
            return rng.permutation(order), np.zeros(len(order), int), np.ones(len(self.losses), np.float32)
        passes: list[np.ndarray] = []
        while sum(map(len, passes)) < len(order):
            left_out = easy[order] & (rng.random(len(order)) < self._share)
            passes.append(rng.permutation(order[~left_out]))
        weights = np.where(easy, np.float32(1 / (1 - self._share)), np.float32(1))
        numbers = np.repeat(np.arange(len(passes)), [len(one) for one in passes])
        return np.concatenate(passes)[: len(order)], numbers[: len(order)], weights
