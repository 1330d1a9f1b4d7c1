"""BYTES tensors of the Open Inference Protocol: encoded images, as image clients of Triton and KServe send them.

In binary data: Triton's extension_binary_data.
"""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode
from typing import Any

from bento.errors import RequestError

_LENGTH = struct.Struct("<I")


def encoded_images(tensor: dict[str, Any], after: memoryview, max_images: int) -> list[bytes]:
    """Return the images of a BYTES tensor.

    Args:
        tensor: shape (n) or (n, 1), and either `data`, strings in base64, or the parameter `binary_data_size`.
        after: what follows the JSON: with `binary_data_size`, each image after its length, 4 bytes little-endian.
        max_images: most images in one request.

    Raises:
        RequestError: malformed_request; the detail says in one line what is wrong.
    """
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(side) is int and side > 0 for side in shape):
        raise _bad("the shape of a BYTES tensor must be [n] or [n, 1]")
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise _bad("the shape of a BYTES tensor must be [n] or [n, 1]")
    count = shape[0]
    if count > max_images:
        raise _bad(f"{str(count)[:20]} images in one request; at most {max_images}")
    size = (tensor.get("parameters") or {}).get("binary_data_size")
    if (size is None) == ("data" not in tensor):
        raise _bad("a BYTES tensor needs either data or binary_data_size")
    if size is not None and (type(size) is not int or size != len(after)):
        raise _bad(f"binary_data_size must be {len(after)}, the number of bytes that follow the JSON")
    if size is None and after:
        raise _bad(f"{len(after)} bytes follow the JSON, but the tensor has no binary_data_size")
    images = _strings(tensor["data"]) if size is None else _elements(after)
    if len(images) != count:
        raise _bad(f"the shape says {count} images, and there are {len(images)}")
    return images


def _elements(after: memoryview) -> list[bytes]:
    images, position = [], 0
    while position < len(after):
        start = position + _LENGTH.size
        if start > len(after):
            raise _bad("the BYTES tensor ends within the length of an image")
        position = start + _LENGTH.unpack_from(after, position)[0]
        if position > len(after):
            raise _bad("an image of the BYTES tensor is longer than the tensor")
        images.append(bytes(after[start:position]))
        if position == start:
            raise _bad("an image of the BYTES tensor is empty")
    return images


def _strings(data: object) -> list[bytes]:
    if isinstance(data, list) and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    if not isinstance(data, list) or not all(isinstance(text, str) and text for text in data):
        raise _bad("the data of a BYTES tensor must be images in base64")
    try:
        return [b64decode(text, validate=True) for text in data]
    except (binascii.Error, ValueError) as error:
        raise _bad("the data of a BYTES tensor must be images in base64") from error


def _bad(detail: str) -> RequestError:
    return RequestError("malformed_request", detail)
