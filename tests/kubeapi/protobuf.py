"""Read a Secret from Kubernetes' protobuf, in which helm sends its records. Answers may be JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from tests.kubeapi.objects import Json

MAGIC = b"k8s\x00"


def secret(body: bytes) -> Json:
    """Return the Secret in its JSON form (k8s.io/api/core/v1/generated.proto)."""
    envelope = dict(_fields(body[len(MAGIC) :]))
    metadata, labels, data, kind = dict[str, str](), dict[str, str](), dict[str, str](), ""
    for number, value in _fields(envelope[2]):
        if number == 1:
            names = {1: "name", 3: "namespace", 6: "resourceVersion"}
            for inner, part in _fields(value):
                if inner in names and part:
                    metadata[names[inner]] = part.decode()
                elif inner == 11:
                    entry = dict(_fields(part))
                    labels[entry[1].decode()] = entry[2].decode()
        elif number == 2:
            entry = dict(_fields(value))
            data[entry[1].decode()] = base64.b64encode(entry[2]).decode()
        elif number == 3:
            kind = value.decode()
    about = {"apiVersion": "v1", "kind": "Secret", "type": kind}
    return about | {"metadata": metadata | {"labels": labels}, "data": data}


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (number, content) of the length-delimited fields. Numeric fields aren't needed."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        length, at = _varint(message, at)
        if tag & 7 == 2:
            yield tag >> 3, message[at : at + length]
            at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = message[at]
        result |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return result, at
