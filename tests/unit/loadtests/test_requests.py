"""The requests of the load test, and the answers it accepts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loadtests import routes
from loadtests.images import images
from loadtests.routes import Checker, Request

METADATA = {"inputs": [{"name": "image", "shape": [-1, 8, 8, 3]}]}


def one(name: str = "7", confidence: float = 0.9) -> dict[str, Any]:
    return {"predicted_class": name, "confidence_score": confidence}


def request_() -> Request:
    return next(routes.predict([b"image"]))


def test_noise_images_are_different_jpegs() -> None:
    made = images(None)
    assert len(set(made)) == 16
    assert all(Image.open(io.BytesIO(image)).format == "JPEG" for image in made)


def test_images_of_a_folder_are_sent_unchanged(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "b.JPG").write_bytes(b"first")
    (tmp_path / "a.png").write_bytes(b"second")
    (tmp_path / "notes.txt").write_bytes(b"third")
    assert sorted(images(str(tmp_path))) == [b"first", b"second"]


def test_an_empty_folder_and_a_missing_one_give_different_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the folder has no images"):
        images(str(tmp_path))
    with pytest.raises(ValueError, match="no such folder"):
        images(str(tmp_path / "missing"))


def test_a_batch_repeats_images_if_there_are_too_few() -> None:
    made = next(routes.batch([b"a", b"b"], 5))
    assert made.body.count(b'name="file"') == 5
    assert made.path == "/predict/batch"


def test_a_tensor_has_the_size_in_the_models_metadata() -> None:
    made = next(routes.infer(METADATA))
    head = int(made.headers["Inference-Header-Content-Length"])
    assert len(made.body) - head == 8 * 8 * 3


@pytest.mark.parametrize("metadata", [None, {}, {"inputs": []}, {"inputs": [{"shape": [-1, 3]}]}, {"error": "no"}])
def test_metadata_of_no_image_model_is_refused(metadata: Any) -> None:
    with pytest.raises(ValueError, match="describes no image model"):
        routes.infer(metadata)


@pytest.mark.parametrize(
    "answer", [None, [], {}, "7", one(confidence=1.5), {"predicted_class": 7, "confidence_score": 1}]
)
def test_a_malformed_answer_is_an_error(answer: Any) -> None:
    assert Checker().problem(request_(), answer, "1") == "malformed answer"


def test_a_different_answer_to_the_same_image_from_the_same_model_is_an_error() -> None:
    checker, sent = Checker(), request_()
    assert checker.problem(sent, one(), "1") is None
    assert checker.problem(sent, one(confidence=0.9005), "1") is None
    assert checker.problem(sent, one("3"), "1") == "the same image got another answer before"
    assert checker.problem(sent, one(confidence=0.8), "1") == "the same image got another answer before"
    assert checker.problem(sent, one("3"), "2") is None


def test_two_equally_likely_classes_may_swap() -> None:
    checker, sent = Checker(), request_()
    assert checker.problem(sent, one("7", 0.4), "1") is None
    assert checker.problem(sent, one("3", 0.4), "1") is None


def test_a_missing_or_refused_answer_in_a_batch_is_an_error() -> None:
    sent = next(routes.batch([b"a"], 2))
    assert Checker().problem(sent, [one(), one()], "1") is None
    assert Checker().problem(sent, [one()], "1") == "malformed answer"
    assert Checker().problem(sent, [one(), {"code": "queue_full"}], "1") == "in a batch: queue_full"


def test_probabilities_of_a_tensor_must_add_up_to_one() -> None:
    sent = next(routes.infer(METADATA))
    assert Checker().problem(sent, {"outputs": [{"data": [0.25, 0.75]}]}, "1") is None
    assert Checker().problem(sent, {"outputs": [{"data": [0.25, 0.25]}]}, "1") == "malformed answer"
