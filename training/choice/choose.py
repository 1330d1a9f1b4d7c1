"""Choose the network for a folder: which candidates are compared, in what order, and which one wins."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from training import environment
from training.choice import budget, candidates, comparison, squaring
from training.choice import cost as costs
from training.choice.candidates import SMALL, Candidate
from training.choice.comparison import Folds, Result
from training.choice.images import load_all, shape
from training.config import Config
from training.data.split import folds
from training.errors import UsageError
from training.features.extractor import Cost, Extractor
from training.features.frozen import FrozenFeatures
from training.fields import AUTO
from training.network import backbone, network
from training.report import metrics
from training.report.choice_document import Choice, Compared

logger = logging.getLogger(__name__)

FOLDER = "choice"
_FILE = "choice.json"

_MOST_UNTUNED = 10_000
"""Images of a comparison without a candidate whose layers are trained."""
_WHOLE = 0.5
"""Fraction of the images that speaks for all of them."""
_ENOUGH = 200
"""Held-out images that are worth the time of a further fold."""
_FOLDS = 5
_CLEARLY = 2
"""Standard errors by which a larger size must be ahead of the smallest one for fine-tuning to be tried there too."""
_SHORT = 0.25
"""Fraction of its epochs by which the small network shows whether it is worth the others."""
_HOPELESS = 0.15
"""More accuracy than the other epochs would add."""


def choose(config: Config, out: Path, workers: int) -> Config:
    """Return `config` with the network chosen, and write into `out` how it was chosen.

    Args:
        config: a run's options; unchanged if they name a backbone.
        out: the run's folder. A comparison that was stopped there goes on.
        workers: the number of processes that train together.

    Raises:
        TrainingError: the data can't be trained on, or a training failed.
    """
    if config.backbone != AUTO:
        return config
    decided = candidates.decided(config, workers)
    if decided:
        logger.info("training the small network without a comparison: %s", decided)
        return candidates.small(config).config(config)
    images = shape(config)
    sizes = candidates.sizes(config, images.side)
    if not sizes:
        reason = f"images of {images.side} pixels are too small for a pretrained network"
        logger.info("training the small network without a comparison: %s", reason)
        return _written(Choice(SMALL, reason, [], 0, 0, 0.0), candidates.small(config).config(config), out)
    return _Comparison(squaring.choose(config, sizes[0], images.ratio), out, sizes).run()


def compares(config: Config, workers: int) -> bool:
    """Return whether `choose` will look at the images, because the options leave the network open."""
    return config.backbone == AUTO and candidates.decided(config, workers) is None


def read(out: Path) -> Choice | None:
    """Return the comparison that was written into the run's folder `out`; None if there is none."""
    try:
        return Choice.from_json(json.loads((out / _FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None


def _written(choice: Choice, config: Config, out: Path) -> Config:
    out.mkdir(parents=True, exist_ok=True)
    aside = out / f"{_FILE}.new"
    aside.write_text(json.dumps(choice.to_json(), indent=2), encoding="utf-8")
    aside.replace(out / _FILE)
    return config


@dataclass
class _Tried:
    candidate: Candidate
    result: Result | None = None
    cost: Cost | None = None
    left_out: str | None = None
    figures: tuple[float, float] = (0.0, 0.0)
    right: np.ndarray = field(default_factory=lambda: np.empty(0))


class _Comparison:
    """One comparison, from the cheapest candidate to the dearest."""

    def __init__(self, config: Config, out: Path, sizes: tuple[int, ...]) -> None:
        self._config, self._out, self._sizes = config, out, sizes
        environment.start_keras(config.seed)
        self._started = environment.clock()
        self._small = candidates.small(config)
        frozen = [backbone.settle(candidates.frozen(size).config(config)) for size in sizes]
        self._images = load_all(config, [backbone.settle(self._small.config(config)), *frozen])
        self._budget = budget.Budget(config, self._images)
        self._extract = Extractor(frozen[0])
        self._costs: dict[int, Cost] = {size: self._extract.cost(size) for size in sizes}
        self._small_cost: Cost | None = None
        self._tried: list[_Tried] = []

    def run(self) -> Config:
        """Compare, tell and write the result; return the configuration of the best candidate."""
        images, config = self._images, self._config
        tunes = config.fine_tune_layers > 0 and self._budget.affordable(self._sizes[0], self._costs[self._sizes[0]]) > 0
        chosen = images.sample(budget.MOST if tunes else _MOST_UNTUNED, config.seed)
        self._folds, self._is_sample = self._divided(chosen), len(chosen) < _WHOLE * len(images)
        logger.info(
            "choosing a network: each is trained on %s images and compared on %s others, none of them a test image",
            f"{self._folds.trained_on:,}",
            f"{len(self._folds.held_out):,}",
        )
        frozen = [self._try(candidates.frozen(size)) for size in self._sizes]
        best = self._best(frozen)
        self._try_small(best)
        if config.fine_tune_layers:
            self._try_tuned(self._sizes[0], best)
            size = int(best.candidate.options["image_size"])
            if best.result and _difference(best, frozen[0]) > _CLEARLY * _standard_error(best, frozen[0]):
                self._try_tuned(size, best, whole=True)
        return self._decide()

    def _try_small(self, best: _Tried) -> None:
        """Train the small network, unless a training of a quarter of its epochs leaves it far behind `best`."""
        settled = backbone.settle(self._small.config(self._config))
        if self._is_too_slow(self._cost(settled)):
            self._try(self._small)
            return
        whole = settled.for_images(self._folds.trained_on).epochs or 1
        short = max(1, round(_SHORT * whole))
        trial = replace(self._small, options=self._small.options | {"epochs": short})
        result = comparison.run(trial, self._images, self._folds, self._config, self._out / FOLDER)
        accuracy = float((result.probabilities.argmax(axis=1) == self._images.labels[self._folds.held_out]).mean())
        if best.figures[0] - accuracy > _HOPELESS:
            self._leave_out(
                self._small, f"its accuracy after {short} of {whole} epochs, {100 * accuracy:.1f}%, is far behind"
            )
        else:
            self._try(self._small)

    def _try_tuned(self, size: int, frozen: _Tried, *, whole: bool = False) -> None:
        """Fine-tune at `size`, unless that can't help or takes too long; if `whole`, only with all epochs."""
        epochs = self._budget.affordable(size, self._costs[size])
        tuned = candidates.tuned(size, self._config, epochs or None)
        if frozen.figures[0] == 1:
            self._leave_out(tuned, "without fine-tuning it is right about every image")
        elif epochs and (not whole or epochs == self._budget.wanted(size)):
            self._try(tuned)
        else:
            self._leave_out(tuned, f"it would take longer than --budget {self._config.budget}")

    def _divided(self, chosen: np.ndarray) -> Folds:
        images = self._images
        number = folds(images.labels[chosen], images.groups[chosen], _FOLDS, self._config.seed)
        pairs = []
        for fold in range(_FOLDS):
            pairs.append((chosen[number != fold], chosen[number == fold]))
            if sum(len(held_out) for _, held_out in pairs) >= _ENOUGH:
                break
        return Folds(pairs)

    def _try(self, candidate: Candidate) -> _Tried:
        config, size = self._config, int(candidate.options["image_size"])
        settled = backbone.settle(candidate.config(config))
        cost = self._cost(settled)
        if self._is_too_slow(cost):
            why = f"an image takes {cost.milliseconds:.1f} ms, more than --max-ms {config.max_ms:g}"
            return self._leave_out(candidate, why, cost)
        if settled.has_backbone and not settled.fine_tune_layers:
            result = self._fit(size, settled)
        else:
            result = comparison.run(candidate, self._images, self._folds, config, self._out / FOLDER)
        truth = self._images.labels[self._folds.held_out]
        names = list(map(str, range(self._images.classes)))
        found = metrics.evaluate(truth, result.probabilities, names)
        tried = _Tried(candidate, result, cost, None, (found.accuracy, found.f1.macro or 0.0))
        tried.right = (result.probabilities.argmax(axis=1) == truth).astype(float)
        self._tried.append(tried)
        logger.info(
            "  %-44s accuracy %5.1f%%  macro F1 %.2f  %6.1f ms per image  %4.0f s",
            candidate.name,
            100 * found.accuracy,
            found.f1.macro or 0.0,
            cost.milliseconds,
            result.seconds,
        )
        return tried

    def _cost(self, settled: Config) -> Cost:
        if settled.has_backbone:
            return self._costs[settled.image_size]
        if self._small_cost is None:
            self._small_cost = costs.measure(network.build(settled, self._images.classes))
        return self._small_cost

    def _is_too_slow(self, cost: Cost) -> bool:
        return self._config.max_ms is not None and cost.milliseconds > self._config.max_ms

    def _fit(self, size: int, settled: Config) -> Result:
        started = environment.clock()
        part = self._images.dataset(size, np.arange(len(self._images))).parts["train"]
        features = FrozenFeatures(part.images, self._extract, mirrored=settled.augmentation["horizontal_flip"] > 0)
        used = np.unique(np.concatenate([samples for pair in self._folds.pairs for samples in pair]))
        features.prepare(part.rows[used], f"Features at {size} px")
        result = comparison.run_frozen(features, self._images, part, self._folds, settled)
        return replace(result, seconds=environment.clock() - started)

    def _leave_out(self, candidate: Candidate, why: str, cost: Cost | None = None) -> _Tried:
        logger.info("  %-44s left out: %s", candidate.name, why)
        self._tried.append(_Tried(candidate, cost=cost, left_out=why))
        return self._tried[-1]

    def _best(self, tried: list[_Tried]) -> _Tried:
        """Return the cheapest to serve of those that are not surely worse than the most accurate one.

        "Not surely" is one standard error of the difference on the same images (Breiman et al., "Classification and
        regression trees", 1984). Of two that cost the same, it is the more accurate. Trained on a small part of the
        images, any loss counts: with all images, the better network would be further ahead.
        """
        known = [one for one in tried if one.result and one.cost]
        if not known:
            return tried[0]
        top = max(known, key=lambda one: one.figures)
        sure = 0.0 if self._is_sample else 1.0
        near = [one for one in known if _difference(top, one) <= sure * _standard_error(top, one)]
        least = min(one.cost.milliseconds for one in near if one.cost)
        return max(
            (one for one in near if one.cost and one.cost.milliseconds <= 1.1 * least), key=lambda one: one.figures
        )

    def _decide(self) -> Config:
        known = [one for one in self._tried if one.result]
        if not known:
            cheapest = min(one.cost.milliseconds for one in self._tried if one.cost)
            raise UsageError(
                f"--max-ms {self._config.max_ms:g} is too low: the fastest network takes {cheapest:.2g} ms per image "
                "on one core"
            )
        top, best = max(known, key=lambda one: one.figures), self._best(known)
        reason = (
            "it is the most accurate"
            if best is top
            else f"it costs less to serve than {top.candidate.name}, which is not clearly more accurate"
        )
        logger.info("chosen: %s, because %s", best.candidate.name, reason)
        choice = Choice(
            chosen=best.candidate.name,
            reason=reason,
            candidates=[self._described(one) for one in self._tried],
            trained_on=self._folds.trained_on,
            held_out=len(self._folds.held_out),
            seconds=environment.clock() - self._started,
        )
        return _written(choice, best.candidate.config(self._config), self._out)

    def _described(self, one: _Tried) -> Compared:
        if one.result is None or one.cost is None:
            milliseconds, megabytes = (one.cost.milliseconds, one.cost.megabytes) if one.cost else (None, None)
            return Compared(one.candidate.name, None, None, None, None, milliseconds, megabytes, one.left_out)
        accuracy, f1 = one.figures
        return Compared(
            name=one.candidate.name,
            accuracy=accuracy,
            interval=list(metrics.wilson_interval(accuracy, len(one.right))),
            macro_f1=f1,
            seconds=one.result.seconds,
            milliseconds=one.cost.milliseconds,
            megabytes=one.cost.megabytes,
            left_out=None,
        )


def _difference(better: _Tried, other: _Tried) -> float:
    return float((better.right - other.right).mean())


def _standard_error(better: _Tried, other: _Tried) -> float:
    return float((better.right - other.right).std() / np.sqrt(len(better.right)))
