"""The pictures of a report: drawn for any number of classes and any names."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
from PIL import Image

from training.report import metrics, pictures
from training.report.pictures import style

HOSTILE = ["<script>alert(1)</script>", "\"quoted\" & 'so'", "[red]$x^2$", "a\nb\x1b[31m", "番茄叶片", "</style>"]


def predictions(class_names: list[str], each: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(class_names)), each)
    logits = rng.normal(size=(len(labels), len(class_names))) + 1.5 * np.eye(len(class_names))[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities.astype(np.float32), rng.integers(0, 256, (len(labels), 16, 16, 3), np.uint8)


def all_pictures(class_names: list[str]) -> dict[str, bytes]:
    labels, probabilities, images = predictions(class_names)
    test = metrics.evaluate(labels, probabilities, class_names)
    counts = dict.fromkeys(class_names, 12)
    history = {"loss": [1.0, 0.5, 0.4], "val_loss": [1.1, 0.6, float("nan")], "learning_rate": [2e-3, 1e-3, 0]}
    return {
        **pictures.of_evaluation(test, labels, probabilities, images, class_names),
        "learning_curves": pictures.learning_curves(history, 2),
        "class_balance": pictures.class_balance({"train": counts, "test": counts}, class_names),
        "samples": pictures.sample_images(images[:10], labels[:10], class_names),
    }


@pytest.mark.parametrize("classes", [2, 11, 120])
def test_pictures_of_any_number_of_classes_are_png(classes: int) -> None:
    for name, png in all_pictures([f"class number {i}" for i in range(classes)]).items():
        with Image.open(io.BytesIO(png)) as image:
            image.load()
            assert image.format == "PNG", name
            assert 200 < image.width < 3200, name


def test_hostile_and_very_long_names_can_be_drawn() -> None:
    assert len(all_pictures([*HOSTILE, "x" * 255, "y" * 255, "\U0001f99c", "\ufdd0", "\U00012000"])) == 7


def test_without_mistakes_or_a_second_class_their_pictures_are_left_out() -> None:
    labels, probabilities = np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]])
    test = metrics.evaluate(labels, probabilities, ["cat", "dog"])
    images = np.zeros((2, 8, 8, 3), np.uint8)

    drawn = pictures.of_evaluation(test, labels, probabilities, images, ["cat", "dog"])
    assert set(drawn) == {"confusion_matrix", "reliability"}


@pytest.mark.parametrize("history", [{}, {"loss": [1.0]}, {"loss": [float("nan")] * 3, "val_loss": [1, 2, 3]}])
def test_learning_curves_of_a_short_or_failed_run(history: dict[str, list[float]]) -> None:
    assert pictures.learning_curves(history, 1).startswith(b"\x89PNG")


def test_the_same_drawing_gives_the_same_bytes() -> None:
    matrix = [[3, 1], [0, 4]]

    assert pictures.confusion_matrix(matrix, ["a", "b"]) == pictures.confusion_matrix(matrix, ["a", "b"])


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    import matplotlib

    before = deepcopy(dict(matplotlib.rcParams))
    pictures.confusion_matrix([[3, 1], [0, 4]], ["a", "b"])

    assert dict(matplotlib.rcParams) == before


def test_a_caption_tells_its_class_from_all_others() -> None:
    names = [
        "cat",
        "\U00012000",
        "the same long beginning 1 and the same end",
        "the same long beginning 2 and the same end",
    ]

    assert style.captions(names, 16) == ["cat", "#1", "#2 the s…ame end", "#3 the s…ame end"]


@pytest.mark.parametrize(
    "draw",
    [
        "from training.report.pictures.style import captions; captions(['a'], 9)",
        "from training.report import pictures; pictures.learning_curves({'loss': [1.0]}, 1)",
        "from training.report import pictures; pictures.class_balance({'train': {'a': 1}}, ['a'])",
        "from training.report.pictures import study; study.parallel_coordinates([], {})",
        "from training.report.pictures import study; study.history([])",
        "from loadtests import pictures; pictures._svg(lambda axes: axes.plot([1]))",
    ],
)
def test_a_picture_does_not_depend_on_the_backend_that_a_notebook_names(draw: str) -> None:
    """The kind: an environment variable that is meant for another program ends the run."""
    environment = os.environ | {"MPLBACKEND": "module://not_installed.here"}
    done = subprocess.run([sys.executable, "-c", draw], env=environment, capture_output=True, text=True, check=False)
    assert "MPLBACKEND" not in done.stderr
    assert "backend" not in done.stderr, done.stderr


def test_a_picture_does_not_depend_on_a_matplotlibrc(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    plain = pictures.class_balance({"train": {"a": 1}}, ["a"])
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "red")
    assert pictures.class_balance({"train": {"a": 1}}, ["a"]) == plain
    assert matplotlib.rcParams["axes.facecolor"] == "red"
