"""The bodies of the Open Inference Protocol v2 (REST), with its binary tensor data extension.

https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.

A JSON tensor is cut out of the document and parsed in pieces. A JSON library would build a list per pixel: 20 MB of
empty lists take pydantic's parser 430 MB and keep other threads waiting, this module 40 MB.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from bento.errors import RequestError
from bento.http.bodies.encoded_tensor import encoded_images
from model_format.layout import INPUT, OUTPUT

NOVELTY = "novelty"
"""The second output of a model with limits: (n) float32, which only those get who name it."""

_MAX_HEADER = 2**20
"""Bytes of JSON without the tensor; parsed JSON takes twenty times its size in memory."""
_PIECE = 64 * 1024
"""Bytes of a JSON tensor that are parsed at a time, so that other threads can run in between."""
# Inside a JSON string the quotes would have backslashes before them, so this always finds a key.
_DATA = re.compile(rb'(?<!\\)"data"\s*:\s*(\[[^"{}]*\])')
_SPACE = b" \t\r\n"
_DIGITS_TO_0 = bytes.maketrans(b"0123456789", b"0" * 10)
_WHOLE_NUMBERS = f"the data of the input {INPUT!r} must be whole numbers from 0 to 255"
_TENSOR = object()
"""Stands in the parsed document in place of the numbers."""


@dataclass(frozen=True)
class InferRequest:
    """A request to infer.

    Attributes:
        id: the client's; the answer repeats it.
        images: (n, S, S, 3) uint8, RGB; or the n encoded images of a BYTES tensor.
        outputs: names of the tensors that the client wants, and whether each comes as bytes after the JSON.
    """

    id: str | None
    images: np.ndarray | list[bytes]
    outputs: dict[str, bool]


def parse_infer(
    body: bytes, header_length: bytes | None, image_size: int, max_images: int, outputs: tuple[str, ...] = (OUTPUT,)
) -> InferRequest:
    """Read the body of POST /v2/models/{name}/infer.

    Args:
        body: JSON, followed by the tensor's bytes where the JSON says `binary_data_size`.
        header_length: the value of Inference-Header-Content-Length, which is then the length of the JSON.
        image_size: height and width in pixels that the model takes.
        max_images: most images in one request.
        outputs: of the model.

    Raises:
        RequestError: malformed_request; the detail says in one line what is wrong.
    """
    length = _header_length(body, header_length)
    document, numbers = _document(body[:length])
    id_ = document.get("id")
    if id_ is not None and not isinstance(id_, str):
        raise _bad("the request's id must be a string")
    wanted = _wanted(document, outputs)
    image = _named(document, "inputs", (INPUT,), "input").get(INPUT)
    if image is None:
        raise _bad("the request has no inputs")
    after = memoryview(body)[length:]
    if header_length is None and _parameters(image).get("binary_data_size") is not None:
        raise _bad("binary_data_size needs the header Inference-Header-Content-Length")
    if image.get("datatype") == "BYTES":
        encoded = encoded_images(image, after, max_images)
        return InferRequest(id_, encoded, wanted)
    if image.get("datatype") != "UINT8":
        raise _bad(f"the datatype of the input {INPUT!r} must be UINT8 or BYTES, not {_shown(image.get('datatype'))}")
    shape = _shape(image.get("shape"), image_size, max_images)
    if numbers is not None and image.get("data") is not _TENSOR:
        raise _bad(f"the input {INPUT!r} must have one 'data' with an array, and nothing else may have it")
    size = _parameters(image).get("binary_data_size")
    pixels: bytes | bytearray | memoryview
    if size is not None:
        if "data" in image:
            raise _bad(f"the input {INPUT!r} has both data and binary_data_size")
        pixels = _sized(after, size, shape)
    else:
        if after:
            raise _bad(f"{len(after)} bytes follow the JSON, but the input {INPUT!r} has no binary_data_size")
        if "data" not in image:
            raise _bad(f"the input {INPUT!r} has no data")
        if numbers is None:
            raise _bad(_WHOLE_NUMBERS)
        pixels = _pixels(numbers, shape)
    return InferRequest(id_, np.frombuffer(pixels, np.uint8).reshape(shape), wanted)


def infer_response(
    request: InferRequest, tensors: dict[str, np.ndarray], name: str, version: str
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return body and headers of the answer.

    Args:
        request: the request to answer.
        tensors: probabilities, (n, C) float32, and what else the request wants.
        name, version: the model's.

    Raises:
        RequestError: internal_error; the model answered NaN, which JSON can't express.
    """
    if not np.isfinite(tensors[OUTPUT]).all():
        raise RequestError("internal_error", "the model's answer is not a number")
    outputs: list[dict[str, Any]] = []
    numbers: list[str] = []
    binary: list[bytes] = []
    for output, as_bytes in request.outputs.items():
        tensor = tensors[output]
        about: dict[str, Any] = {"name": output, "datatype": "FP32", "shape": list(tensor.shape)}
        outputs.append(about)
        if as_bytes:
            binary.append(tensor.astype("<f4", copy=False).tobytes())
            about["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            about["data"] = []
            # Image by image, so that other threads can run in between: 256 images of 1,000 classes take 0.14 s.
            numbers.append(", ".join(json.dumps(row.tolist()).strip("[]") for row in tensor))
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if request.id is not None:
        answer["id"] = request.id
    text = json.dumps(answer)
    for some in numbers:
        # The client's id can't contain this text: inside a string each quote has a backslash before it.
        text = text.replace('"data": []', f'"data": [{some}]', 1)
    head = text.encode()
    if not binary:
        return head, [(b"content-type", b"application/json")]
    return b"".join([head, *binary]), [
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", b"%d" % len(head)),
    ]


def _bad(detail: str) -> RequestError:
    return RequestError("malformed_request", detail)


def _shown(value: object) -> str:
    """Return a value that a client sent, quoted on one short line."""
    if value is None:
        return "missing"
    return repr(value)[:60] if isinstance(value, str | int | float) else "an array or object"


def _header_length(body: bytes, value: bytes | None) -> int:
    if value is None:
        return len(body)
    # With isdigit alone, int would get numbers of a million digits.
    if not value.isdigit() or len(value) > 12 or int(value) > len(body):
        raise _bad(f"Inference-Header-Content-Length must be from 0 to the body's {len(body)} bytes")
    return int(value)


def _document(header: bytes) -> tuple[dict[str, Any], bytes | None]:
    """Parse the JSON without the array of numbers under `data`, which is cut out first and returned as bytes."""
    numbers = None
    found = _DATA.search(header)
    if found and found[1].count(b"[") == found[1].count(b"]"):
        numbers = found[1]
        # NaN is not JSON, but Python's parser reports it, and accepts only this one.
        header = header[: found.start(1)] + b"NaN" + header[found.end(1) :]
    if len(header) > _MAX_HEADER:
        raise _bad(f"the JSON around the data of the input {INPUT!r} is over {_MAX_HEADER} bytes")
    stands_for = [] if numbers is None else [_TENSOR]

    def constant(name: str) -> object:
        if not stands_for:
            raise ValueError(f"{name} is not JSON")
        return stands_for.pop()

    try:
        document = json.loads(header.decode(), parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise _bad("the body is not valid JSON in UTF-8, or nested too deeply") from error
    if not isinstance(document, dict):
        raise _bad("the body must be a JSON object")
    return document, numbers


def _named(document: dict[str, Any], key: str, names: tuple[str, ...], what: str) -> dict[str, dict[str, Any]]:
    """Return the entries of the list `document[key]` by their name, which must be one of `names`."""
    entries = [] if document.get(key) is None else document[key]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _bad(f"{key!r} must be a list of objects")
    named: dict[str, dict[str, Any]] = {}
    for entry in entries:
        name = entry.get("name")
        if name not in names:
            there = (
                f"its {what} is {names[0]!r}"
                if len(names) == 1
                else f"its {what}s are {' and '.join(map(repr, names))}"
            )
            raise _bad(f"the model has no {what} {_shown(name)}; {there}")
        if name in named:
            count = sum(entry.get("name") == name for entry in entries)
            raise _bad(f"the {what} {name!r} is given {count} times")
        if "shared_memory_region" in _parameters(entry):
            raise _bad("tensors in shared memory are not supported")
        named[name] = entry
    return named


def _parameters(holder: dict[str, Any]) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise _bad("'parameters' must be an object")
    return parameters


def _shape(shape: object, image_size: int, max_images: int) -> list[int]:
    wanted = f"[n, {image_size}, {image_size}, 3]"
    # bool is a subclass of int, and true would pass for 1.
    if not isinstance(shape, list) or not all(type(side) is int for side in shape):
        raise _bad(f"the shape of the input {INPUT!r} must be a list of whole numbers, {wanted}")
    if len(shape) != 4 or shape[1:] != [image_size, image_size, 3] or shape[0] < 1:
        sides = ", ".join(str(side)[:20] for side in shape[:8]) + ", ..." * (len(shape) > 8)
        raise _bad(f"the shape of the input {INPUT!r} must be {wanted}, not [{sides}]")
    if shape[0] > max_images:
        raise _bad(f"{_shown(shape[0])} images in one request; at most {max_images}")
    return shape


def _sized(tensor: memoryview, size: object, shape: list[int]) -> memoryview:
    """Return the bytes after the JSON if the shape and `binary_data_size` both ask for that many."""
    count = math.prod(shape)
    if type(size) is not int or not len(tensor) == size == count:
        raise _bad(
            f"the shape {shape} takes {count} bytes, binary_data_size is {_shown(size)}, "
            f"and {len(tensor)} bytes follow the JSON"
        )
    return tensor


def _pixels(numbers: bytes, shape: list[int]) -> bytearray:
    """Parse arrays of numbers, flat or nested by `shape`; memory and time depend on the length of the text alone."""
    skeleton = numbers.translate(_DIGITS_TO_0, _SPACE)
    if skeleton.translate(None, b"0[],") or b"0[" in skeleton or b"]0" in skeleton:
        raise _bad(_WHOLE_NUMBERS)
    skeleton = skeleton.translate(None, b"0")
    count = math.prod(shape)
    # Count first: a short shape can claim any size, and the expected skeleton is as large as it claims.
    if skeleton.count(b",") != count - 1 or skeleton not in (b"[%s]" % (b"," * (count - 1)), _skeleton(shape)):
        raise _bad(f"the data of the input {INPUT!r} must be {count} numbers, flat or nested by the shape {shape}")
    pixels = bytearray()
    start = 0
    while start < len(numbers):
        end = numbers.find(b",", start + _PIECE)
        end = len(numbers) if end < 0 else end
        try:
            pixels += bytes(json.loads(b"[%s]" % numbers[start:end].translate(None, b"[]")))
        except ValueError as error:
            raise _bad(_WHOLE_NUMBERS) from error
        start = end + 1
    return pixels


def _skeleton(shape: list[int]) -> bytes:
    """Return the brackets and commas of an array nested by `shape`."""
    inner = b""
    for side in reversed(shape):
        inner = b"[%s]" % b",".join([inner] * side)
    return inner


def _wanted(document: dict[str, Any], outputs: tuple[str, ...]) -> dict[str, bool]:
    """Return the outputs that the client names, by default the probabilities, and whether each is wanted as bytes."""
    default = _parameters(document).get("binary_data_output", False)
    wanted = {}
    for name, output in (_named(document, "outputs", outputs, "output") or {OUTPUT: {}}).items():
        parameters = _parameters(output)
        if "classification" in parameters:
            raise _bad("the classification extension is not supported; /predict?top_k=N gives classes")
        wanted[name] = parameters.get("binary_data", default)
        if not isinstance(wanted[name], bool):
            raise _bad("binary_data and binary_data_output must be true or false")
    return wanted
