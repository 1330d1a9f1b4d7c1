"""Check a deployed model by its golden set: it must classify the images as it did after training."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from k8s.cluster import Cluster
from k8s.errors import K8sError, Refused
from k8s.pods.service import Service
from k8s.pods.tunnel import execute
from model_format import golden
from model_format.errors import FormatError
from model_format.golden import GoldenImage
from model_format.layout import GOLDEN_FOLDER, GOLDEN_INDEX

_TOLERANCE = {"onnx-int8": 0.05}
"""Quantised forms differ from the set's confidences, which the fp32 form gave."""
_TOLERANCE_FP32 = 1e-3

# The script uses the standard library alone, because the image in the pod may be older than this code.
_FIND = """
import base64, json, os, pathlib, sys
name, version = sys.argv[1].split(":")
roots = [os.environ.get("BENTOML_HOME"), os.environ.get("BENTO_PATH"), str(pathlib.Path.home() / "bentoml"), ".", ".."]
for root in filter(None, roots):
    folder = pathlib.Path(root, "models", name, version, sys.argv[2])
    if (folder / sys.argv[3]).exists():
        files = {f.name: base64.b64encode(f.read_bytes()).decode() for f in folder.iterdir()}
        print(json.dumps(files))
        sys.exit()
"""


def tolerance(runtime: str) -> float:
    """Return how far the confidences of a form may be from the set's."""
    return _TOLERANCE.get(runtime, _TOLERANCE_FP32)


def load(folder: Path) -> list[GoldenImage]:
    """Read a folder with a golden set.

    Raises:
        K8sError: the folder holds none, or an empty one.
    """
    try:
        return _not_empty(golden.read(folder), str(folder))
    except FormatError as error:
        raise K8sError(str(error)) from error


def _parse(files: Mapping[str, bytes], where: str) -> list[GoldenImage]:
    try:
        return _not_empty(golden.parse(files, where), where)
    except FormatError as error:
        raise K8sError(str(error)) from error


def _not_empty(images: list[GoldenImage], where: str) -> list[GoldenImage]:
    if not images:
        raise K8sError(f"golden set {where}: {GOLDEN_INDEX} lists no image")
    return images


def find(cluster: Cluster, pod: str, tag: str) -> list[GoldenImage]:
    """Return the golden set of a model, from the local model store or from the pod that serves the model."""
    name, _, version = tag.partition(":")
    entry = Path(os.environ.get("BENTOML_HOME", Path.home() / "bentoml")) / "models" / name / version
    if golden.is_in(entry):
        return load(golden.folder_of(entry))
    return _parse(_from_pod(cluster, pod, tag), f"of {tag} in pod {pod}")


def _from_pod(cluster: Cluster, pod: str, tag: str) -> dict[str, bytes]:
    answer = execute(cluster, pod, "server", ["python", "-c", _FIND, tag, GOLDEN_FOLDER, GOLDEN_INDEX])
    try:
        return {name: base64.b64decode(content) for name, content in json.loads(answer).items()}
    except ValueError as error:
        raise K8sError(f"no golden set of {tag} in pod {pod}; give one with --golden DIR") from error


def check(service: Service, examples: list[GoldenImage], runtime: str) -> str:
    """Send each image to the service; return one line with figures.

    Raises:
        Refused: a class differs, a confidence differs by more than the tolerance, or there is no image to send.
    """
    if not examples:
        raise Refused("golden set: no image, so nothing was checked")
    allowed, largest, wrong = tolerance(runtime), 0.0, list[str]()
    for example in examples:
        answer = service.predict(example.image, example.file)
        largest = max(largest, abs(answer[1] - example.confidence))
        difference = compare(example, answer, allowed)
        wrong += [difference] if difference else []
    if wrong:
        raise Refused(f"golden set: {len(wrong)} of {len(examples)} images differ: {wrong[0]}")
    return f"{len(examples)} golden images, classes equal, confidences to {largest:.1e} (allowed {allowed:g})"


def compare(example: GoldenImage, answer: tuple[str, float], allowed: float) -> str:
    """Return how an answer differs from the expected one, or an empty string."""
    got, confidence = answer
    wanted = f"expected {example.class_name} ({example.confidence:.4f}), got {got} ({confidence:.4f})"
    if got != example.class_name:
        return f"{example.file}: {wanted}"
    # `>=` would accept a confidence of NaN.
    if not abs(confidence - example.confidence) < allowed:
        return f"{example.file}: {wanted}: the confidence differs by {abs(confidence - example.confidence):.4f}"
    return ""
