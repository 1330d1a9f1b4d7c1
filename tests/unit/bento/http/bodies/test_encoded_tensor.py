"""BYTES tensors of the Open Inference Protocol."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from typing import Any

import pytest

from bento.errors import RequestError
from bento.http.bodies.open_inference import parse_infer

IMAGES = [b"first", b"second one"]
TEXTS = [b64encode(image).decode() for image in IMAGES]
PACKED = b"".join(struct.pack("<I", len(image)) + image for image in IMAGES)
SIZE = {"parameters": {"binary_data_size": len(PACKED)}}


def parse(after: bytes = b"", **members: Any) -> Any:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2]} | members
    head = json.dumps({"inputs": [tensor]}).encode()
    return parse_infer(head + after, b"%d" % len(head), 8, 4).images


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_encoded_images_come_as_binary_data_or_in_base64(shape: list[int]) -> None:
    assert parse(PACKED, shape=shape, **SIZE) == IMAGES
    assert parse(shape=shape, data=TEXTS) == IMAGES
    assert parse(shape=shape, data=[[text] for text in TEXTS]) == IMAGES


@pytest.mark.parametrize(
    ("after", "members", "reason"),
    [
        (b"", {"data": TEXTS, "shape": [3]}, "the shape says 3 images, and there are 2"),
        (b"", {"data": TEXTS, "shape": [5]}, "5 images in one request; at most 4"),
        *(
            (b"", {"data": TEXTS, "shape": shape}, "must be")
            for shape in (None, [], [2, 2], [True], [-1], [1, 1, 1], "2")
        ),
        *((b"", {"data": data}, "in base64") for data in (["?"] * 2, [1, 2], [""] * 2, "text", {"a": 1}, [["a", "b"]])),
        (b"", {}, "needs either data or binary_data_size"),
        (PACKED, {"data": TEXTS, **SIZE}, "needs either data or binary_data_size"),
        (PACKED, {"data": TEXTS}, "bytes follow the JSON"),
        (PACKED + b"x", SIZE, "binary_data_size must be 24"),
        (PACKED[:-1] + b"", {"parameters": {"binary_data_size": len(PACKED) - 1}}, "longer than the tensor"),
        (b"\0\0", {"parameters": {"binary_data_size": 2}}, "ends within the length"),
        (bytes(8), {"parameters": {"binary_data_size": 8}}, "is empty"),
    ],
)
def test_a_broken_tensor_is_refused_in_one_line(after: bytes, members: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(after, **members)
    assert caught.value.code == "malformed_request"
    assert reason in caught.value.detail
