"""Build the requests to each route, and check the answers. Knows HTTP bodies, but sends nothing."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_BOUNDARY = "image-classifier-load"
_FORM = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
MODEL = "/v2/models/image_classifier"
_SAME = 1e-3
"""Largest difference between two confidences of the same image: batches of other sizes round differently."""


@dataclass(frozen=True)
class Request:
    """One request, which can be sent any number of times.

    Attributes:
        key: identifies the request's images among all requests to that route.
        check: returns the (class, confidence) of each image from the parsed answer.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    key: int
    check: Callable[[Any], list[tuple[str, float]]]


class Refused(ValueError):
    """An image of a batch got a problem instead of an answer; the message is the problem's code."""


def predict(images: list[bytes]) -> Iterator[Request]:
    """Yield requests of one image each, forever."""
    made = [Request("/predict", _FORM, _form([image]), key, _one) for key, image in enumerate(images)]
    return itertools.cycle(made)


def batch(images: list[bytes], size: int) -> Iterator[Request]:
    """Yield requests of `size` images each, forever."""
    made = []
    for key in range(len(images)):
        chosen = [images[(key + i) % len(images)] for i in range(size)]
        made.append(Request("/predict/batch", _FORM, _form(chosen), key, lambda answer: _several(answer, size)))
    return itertools.cycle(made)


def infer(metadata: Any, tensors: int = 16) -> Iterator[Request]:
    """Yield requests of one random tensor each, forever, with binary data.

    Args:
        metadata: the answer to GET `MODEL`.
        tensors: number of different tensors.

    Raises:
        ValueError: the metadata doesn't describe an image model.
    """
    try:
        _, height, width, channels = metadata["inputs"][0]["shape"]
        size = int(height) * int(width) * int(channels)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{MODEL} describes no image model: {str(metadata)[:100]}") from error
    made = []
    for key in range(tensors):
        pixels = random.Random(key).randbytes(size)
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, height, width, channels]}
        head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": size}}]}).encode()
        headers = {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(head)),
        }
        made.append(Request(f"{MODEL}/infer", headers, head + pixels, key, _tensor))
    return itertools.cycle(made)


class Checker:
    """Checks that answers are well-formed, and that the same model always gives the same image the same answer.

    A server that mixes up the answers of a batch still gives well-formed ones. Only a comparison with earlier
    answers finds it.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, int], list[tuple[str, float]]] = {}

    def problem(self, request: Request, answer: Any, version: str) -> str | None:
        """Return what is wrong with an answer, or None; `version` is that of the model that gave it."""
        try:
            found = request.check(answer)
        except Refused as error:
            return f"in a batch: {error}"
        except (KeyError, IndexError, TypeError, ValueError):
            return "malformed answer"
        if not all(isinstance(name, str) and -_SAME <= confidence <= 1 + _SAME for name, confidence in found):
            return "malformed answer"
        first = self._first.setdefault((request.path, version, request.key), found)
        if len(found) != len(first):
            return "wrong number of answers"
        for (name, confidence), (name_before, confidence_before) in zip(found, first, strict=True):
            if abs(confidence - confidence_before) > _SAME or (
                # Rounding may decide which of two equally likely classes is first.
                name != name_before and confidence > 0.5 + _SAME
            ):
                return "the same image got another answer before"
        return None


def _form(images: list[bytes]) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="image"\r\n\r\n'.encode()
    return b"".join(head + image + b"\r\n" for image in images) + f"--{_BOUNDARY}--\r\n".encode()


def _one(answer: Any) -> list[tuple[str, float]]:
    return [(answer["predicted_class"], float(answer["confidence_score"]))]


def _several(answer: Any, size: int) -> list[tuple[str, float]]:
    refused = [entry for entry in answer if "code" in entry]
    if refused:
        raise Refused(refused[0]["code"])
    found = [pair for entry in answer for pair in _one(entry)]
    if len(found) != size:
        raise ValueError(len(found))
    return found


def _tensor(answer: Any) -> list[tuple[str, float]]:
    shares = [float(share) for share in answer["outputs"][0]["data"]]
    if abs(sum(shares) - 1) > _SAME:
        raise ValueError(sum(shares))
    best = max(range(len(shares)), key=shares.__getitem__)
    return [(str(best), shares[best])]
