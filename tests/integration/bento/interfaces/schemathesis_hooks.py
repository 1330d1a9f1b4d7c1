"""Facts that schemathesis can't read in the document: which bytes are an image, and how long a tensor is."""

from __future__ import annotations

from base64 import b64encode
from math import prod
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.stored import CLASSES, picture

for _type in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"):
    schemathesis.openapi.media_type(f"image/{_type}", st.sampled_from([picture(name, _type) for name in CLASSES]))
for _type in ("x-portable-pixmap", "x-portable-graymap"):
    schemathesis.openapi.media_type(f"image/{_type}", st.sampled_from([picture(name, "ppm") for name in CLASSES]))
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from([picture(name) for name in CLASSES]))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Give an otherwise valid tensor its pixels or its encoded images."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if case.path.endswith("/infer") and case.media_type == "application/json":
        tensor = case.body["inputs"][0]
        # To JSON Schema, 8.0 is an integer as well.
        images, *sides = (int(side) for side in tensor["shape"])
        tensor["shape"] = [min(images, 3), *sides]
        if tensor["datatype"] == "BYTES":
            tensor["data"] = [b64encode(picture("red")).decode()] * tensor["shape"][0]
        else:
            tensor["data"] = [7] * prod(tensor["shape"])
        tensor.pop("parameters", None)
        case.headers.pop("Inference-Header-Content-Length", None)
