"""Limits of a stored model, measured by its ONNX forms: the softmax's input becomes an output of the same graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_format.layout import FILES, INPUT, LIMITS, OUTPUT, SCORES, Form
from model_format.limits import KNOWN, read
from tests.checked import source
from tests.stored import CLASSES, SCHEMA_1, SIZE, write_entry
from training.data.dataset import Part
from training.errors import ModelError
from training.export import limits
from training.forms import onnx_model


def part(images: int, seed: int) -> Part:
    """Return images of one colour each, with some noise; a few labels are wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), images)
    pixels = rng.integers(0, 60, (images, SIZE, SIZE, 3)).astype(np.uint8)
    pixels[np.arange(images), :, :, labels] += rng.integers(40, 180, (images, 1, 1)).astype(np.uint8)
    labels[:: images // 10] = 0
    return source("data", pixels, labels, CLASSES).part


@pytest.mark.parametrize("form", ["onnx", "onnx-int8"])
def test_exposing_the_scores_changes_no_bit_of_the_probabilities(tmp_path: Path, form: Form) -> None:
    """Also for an entry of an older training, whose graph has one output."""
    import onnx
    import onnxruntime

    def session(path: Path) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    graph = onnx.load(SCHEMA_1 / FILES[form])
    nodes = len(graph.graph.node)
    onnx_model.expose_scores(graph)
    onnx_model.expose_scores(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, tmp_path / "with.onnx")
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    before, after = session(SCHEMA_1 / FILES[form]), session(tmp_path / "with.onnx")
    probabilities, scores = after.run([OUTPUT, SCORES], {INPUT: images})
    assert len(graph.graph.node) == nodes
    assert [output.name for output in after.get_outputs()] == [OUTPUT, SCORES]
    assert before.run([OUTPUT], {INPUT: images})[0].tobytes() == probabilities.tobytes()
    assert after.run([OUTPUT], {INPUT: images})[0].tobytes() == probabilities.tobytes()
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert np.allclose(powers / powers.sum(axis=1, keepdims=True), probabilities, atol=1e-6)


def test_a_graph_without_a_softmax_has_no_scores(tmp_path: Path) -> None:
    import onnx

    graph = onnx.load(SCHEMA_1 / FILES["onnx"])
    graph.graph.node[-1].op_type = "Sigmoid"
    with pytest.raises(ModelError, match="doesn't end in a softmax"):
        onnx_model.expose_scores(graph)


def test_each_form_gets_limits_and_the_report_says_what_they_do(tmp_path: Path) -> None:
    entry = write_entry(tmp_path / "entry")
    section = limits.write(entry, part(200, 0), part(300, 1), seed=0)
    for form in ("onnx", "onnx-int8"):
        found = read(entry, form)
        assert found is not None
        assert found.images == 200
        assert len(found.energy) == len(found.doubt) == 995
    assert (section.reason, section.images) == (None, 200)
    assert section.unknown is not None
    assert section.unknown < 0.05
    assert [sets.promised for sets in section.sets] == [0.8, 0.9, 0.95, 0.99]
    assert all(sets.seen > sets.promised - 0.05 for sets in section.sets)
    sizes = [sets.classes for sets in section.sets]
    assert sizes == sorted(sizes)
    # The mean colour, which this model sees, is the same in whatever order the pixels are.
    assert section.separation is not None
    assert section.separation.shuffled_pixels == pytest.approx(0.5, abs=0.01)


def test_an_image_of_no_class_is_novel(tmp_path: Path) -> None:
    entry = write_entry(tmp_path / "entry")
    limits.write(entry, part(200, 0), part(30, 1), seed=0)
    known, model = read(entry, "onnx"), onnx_model.OnnxModel(entry / FILES["onnx"])
    assert known is not None
    black = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    (novel,) = limits.energies(model.answers([black])[1])
    assert known.novelty(novel) >= KNOWN


@pytest.mark.parametrize(
    ("held_out", "reason"), [(99, "99 held-out images are too few; at least 100 are needed"), (0, "--refit")]
)
def test_without_enough_held_out_images_the_reason_is_given(tmp_path: Path, held_out: int, reason: str) -> None:
    entry = write_entry(tmp_path / "entry")
    (entry / LIMITS).unlink()
    section = limits.write(entry, part(held_out, 0) if held_out else None, part(30, 1), seed=0)
    assert section.reason is not None
    assert reason in section.reason
    assert (section.unknown, section.separation, section.sets) == (None, None, [])
    assert read(entry, "onnx") is None


@pytest.mark.parametrize(("size", "side"), [(8, 8), (8, 4), (10, 4), (3, 4)])
def test_shuffled_images_keep_their_size_and_their_tiles(size: int, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, size, size, 3)).astype(np.uint8)
    moved = limits.shuffled(images, side, np.random.default_rng(1))
    assert moved.shape == images.shape
    assert (moved != images).any()
    tile = size // min(side, size)
    whole = tile * min(side, size)

    def tiles(image: np.ndarray) -> set[bytes]:
        starts = range(0, whole, tile)
        return {image[y : y + tile, x : x + tile].tobytes() for y in starts for x in starts}

    assert all(tiles(before) == tiles(after) for before, after in zip(images, moved, strict=True))
