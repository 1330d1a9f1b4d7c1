"""The limits of answers: ranks among held-out images, sets of classes, and the file that holds them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from model_format.errors import FormatError
from model_format.layout import LIMITS
from model_format.limits import KNOWN, LEAST_IMAGES, STEPS, Limits, energy, quantiles, read, write


def drawn(images: int, seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, (N, C), and labels drawn from them, (N,)."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.4), images)
    return probabilities, np.array([rng.choice(classes, p=row / row.sum()) for row in probabilities])


def limits_of(probabilities: np.ndarray, labels: np.ndarray) -> Limits:
    doubt = 1 - probabilities[np.arange(len(labels)), labels]
    return Limits(len(labels), quantiles(-probabilities.max(axis=1)), quantiles(doubt.tolist()))


def test_the_quantiles_are_those_of_split_conformal_prediction() -> None:
    """The direct formula, the ceil((n + 1) c)-th smallest of n scores: Angelopoulos & Bates (2021), equation 1."""
    scores = np.random.default_rng(0).normal(size=500)
    found = quantiles(scores.tolist())
    for thousandths in (500, 900, 950, 990):
        level = np.ceil(501 * thousandths / 1000) / 500
        assert found[thousandths - 1] == np.quantile(scores, level, method="inverted_cdf")


@pytest.mark.parametrize(("images", "known"), [(1, 500), (19, 950), (99, 990), (999, 999), (5000, 999)])
def test_quantiles_end_where_the_images_are_too_few(images: int, known: int) -> None:
    assert len(quantiles(float(i) for i in range(images))) == known


def test_the_least_number_of_images_reaches_the_threshold_of_novelty() -> None:
    assert len(quantiles(range(LEAST_IMAGES))) >= KNOWN * STEPS


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.99])
def test_sets_hold_the_true_class_as_often_as_promised(coverage: float) -> None:
    limits = limits_of(*drawn(2000, 0))
    probabilities, labels = drawn(4000, 1)
    sets = [limits.members(row.tolist(), round(coverage * STEPS)) for row in probabilities]
    seen = np.mean([label in chosen for label, chosen in zip(labels, sets, strict=True)])
    # Two parts of 2,000 and 4,000 images; the top class, which is always inside, can only add to it.
    assert coverage - 0.03 < seen < max(coverage + 0.03, (probabilities.argmax(axis=1) == labels).mean() + 0.03)


def test_sets_grow_with_the_coverage_and_are_ordered_by_probability() -> None:
    limits = limits_of(*drawn(500, 0))
    probabilities = [0.1, 0.5, 0.3, 0.06, 0.04]
    sets = [limits.members(probabilities, thousandths) for thousandths in range(1, STEPS)]
    assert all(wider[: len(narrower)] == narrower for narrower, wider in pairwise(sets))
    assert (sets[0], sets[-1]) == ([1], [1, 2, 0, 3, 4])


def test_a_set_is_never_empty_and_holds_all_classes_if_the_images_are_too_few() -> None:
    few = Limits(3, [], [0.001] * 750)
    assert few.members([0.4, 0.6], 500) == [1]
    assert few.members([0.4, 0.6], 751) == [1, 0]


def test_novelty_is_the_share_of_known_images_that_are_less_novel() -> None:
    limits = Limits(999, quantiles(float(i) for i in range(999)), [])
    assert [limits.novelty(value) for value in (-1, 0, 0.5, 499, 10**9)] == [0, 0, 0.001, 0.499, 0.999]


def test_at_most_one_known_image_in_a_hundred_is_called_unknown() -> None:
    rng = np.random.default_rng(2)
    limits = Limits(1000, quantiles(rng.normal(size=1000).tolist()), [])
    unknown = np.mean([limits.novelty(value) >= KNOWN for value in rng.normal(size=20_000)])
    assert 0.003 < unknown < 0.02


def test_the_energy_is_that_of_its_definition_even_where_exponentials_overflow() -> None:
    assert energy([1.0, 2.0, 3.0]) == pytest.approx(-np.log(np.exp([1.0, 2.0, 3.0]).sum()))
    assert energy([1000.0, 1000.0]) == pytest.approx(-1000 - np.log(2))


def test_limits_are_read_as_they_were_written(tmp_path: Path) -> None:
    fp32, int8 = limits_of(*drawn(120, 0)), limits_of(*drawn(120, 1))
    assert read(tmp_path, "onnx") is None
    write(tmp_path, {"onnx": fp32, "onnx-int8": int8})
    assert (read(tmp_path, "onnx"), read(tmp_path, "onnx-int8"), read(tmp_path, "keras")) == (fp32, int8, fp32)


@pytest.mark.parametrize(
    "content", ["", "[]", "3", "{}", '{"onnx": 3}', '{"onnx": {"images": 3, "energy": ["a"], "doubt": []}}']
)
def test_damaged_limits_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / LIMITS).write_text(content)
    with pytest.raises(FormatError, match=r"^[^\n]*limits\.json can't be read \(\w+\); train the model again$"):
        read(tmp_path, "onnx")
