"""The golden set: images that a deployed model must classify as it did when it was trained."""

from __future__ import annotations

import base64
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from k8s.cluster import Cluster
from k8s.errors import K8sError, Refused, one_line
from k8s.service import Service
from k8s.tunnel import execute

logger = logging.getLogger(__name__)

_TOLERANCE = {"onnx-int8": 0.05}
"""The set's confidences are the fp32 form's, from which quantised ones differ."""
_TOLERANCE_FP32 = 1e-3

_FIND = """
import base64, json, os, pathlib, sys
name, version = sys.argv[1].split(":")
roots = [os.environ.get("BENTOML_HOME"), os.environ.get("BENTO_PATH"), str(pathlib.Path.home() / "bentoml"), ".", ".."]
for root in filter(None, roots):
    folder = pathlib.Path(root, "models", name, version, "golden")
    if (folder / "golden.json").exists():
        files = {f.name: base64.b64encode(f.read_bytes()).decode() for f in folder.iterdir()}
        print(json.dumps(files))
        sys.exit()
"""


@dataclass(frozen=True)
class Example:
    """An image with the answer it got from the fp32 form at training time."""

    name: str
    image: bytes
    expected: str
    confidence: float


def tolerance(runtime: str) -> float:
    """Return how far a form's confidence may be from the set's."""
    return _TOLERANCE.get(runtime, _TOLERANCE_FP32)


def load(folder: Path) -> list[Example]:
    """Read a store entry's `golden/` folder.

    Raises:
        K8sError: it isn't one.
    """
    try:
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise K8sError(f"golden set {folder}: {error.strerror}") from error
    return _examples(files, str(folder))


def _examples(files: dict[str, bytes], where: str) -> list[Example]:
    try:
        entries = json.loads(files["golden.json"])
        found = [Example(e["file"], files[e["file"]], str(e["class"]), float(e["confidence"])) for e in entries]
    except KeyError as error:
        raise K8sError(f"golden set {where}: {error} is missing") from error
    except (ValueError, TypeError) as error:
        raise K8sError(f"golden set {where}: golden.json can't be read: {one_line(error)}") from error
    if not found:
        raise K8sError(f"golden set {where}: golden.json lists no image")
    return found


def find(cluster: Cluster, pod: str, tag: str) -> list[Example]:
    """Return the golden set of a model: from the local model store, else from the pod that serves it."""
    name, _, version = tag.partition(":")
    home = Path(os.environ.get("BENTOML_HOME", Path.home() / "bentoml"))
    folder = home / "models" / name / version / "golden"
    if (folder / "golden.json").exists():
        return load(folder)
    return _examples(_from_pod(cluster, pod, tag), f"of {tag} in pod {pod}")


def _from_pod(cluster: Cluster, pod: str, tag: str) -> dict[str, bytes]:
    answer = execute(cluster, pod, "server", ["python", "-c", _FIND, tag])
    try:
        return {name: base64.b64decode(content) for name, content in json.loads(answer).items()}
    except ValueError as error:
        raise K8sError(f"no golden set of {tag} in pod {pod}; give one with --golden DIR") from error


def check(service: Service, examples: list[Example], runtime: str) -> str:
    """Ask the service for each image; returns one line with figures.

    Raises:
        Refused: a class differs, or a confidence by more than the tolerance.
    """
    allowed, largest, wrong = tolerance(runtime), 0.0, list[str]()
    for example in examples:
        answer = service.predict(example.image, example.name)
        largest = max(largest, abs(answer[1] - example.confidence))
        difference = compare(example, answer, allowed)
        wrong += [difference] if difference else []
    if wrong:
        raise Refused(f"golden set: {len(wrong)} of {len(examples)} images differ: {wrong[0]}")
    return f"{len(examples)} golden images, classes equal, confidences to {largest:.1e} (allowed {allowed:g})"


def compare(example: Example, answer: tuple[str, float], allowed: float) -> str:
    """Return how an answer differs from the expected one, or nothing."""
    got, confidence = answer
    wanted = f"expected {example.expected} ({example.confidence:.4f}), got {got} ({confidence:.4f})"
    if got != example.expected:
        return f"{example.name}: {wanted}"
    # Not >=: no answer may pass that isn't a number.
    if not abs(confidence - example.confidence) < allowed:
        return f"{example.name}: {wanted}: the confidence differs by {abs(confidence - example.confidence):.4f}"
    return ""
