"""Leave out images that the network knows already, and count the others of their kind for them. NumPy only.

After Qin et al. ("InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning", ICLR 2024): of the images
whose last loss was below the mean, a share is left out at random, anew at each pass, and those that stay weigh as much
more, so that the expected gradient is the same.
"""

from __future__ import annotations

import numpy as np


class Pruner:
    """Knows the last loss of each image.

    Args:
        share: of the images with a loss below the mean that is left out of a pass.
        images: their number.
    """

    def __init__(self, share: float, images: int) -> None:
        self._share = share
        self.losses = np.full(images, np.nan, np.float32)
        """(N,) float32; NaN where there was none yet."""

    def epoch(self, order: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return as many images as `order` has, which pass each is of, and the weight of each image.

        What is left out of a pass makes room for the beginning of another one: an epoch is always as long.

        Args:
            order: (M,) images of a whole pass, in any order.
            rng: draws.

        Returns:
            (M,) images; (M,) int passes, from 0; and (N,) float32 weights for all images that there are.
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
