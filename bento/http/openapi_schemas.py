"""The JSON schemas that the OpenAPI document refers to; each function returns one."""

from __future__ import annotations

from typing import Any

from bento.errors import STATUS
from model_format.layout import INPUT, OUTPUT

Schema = dict[str, Any]

BINARY: Schema = {"type": "string", "format": "binary"}
STRING: Schema = {"type": "string"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_FLAG: Schema = {"type": "boolean"}
_TRUE: Schema = {"type": "boolean", "const": True}


def obj(properties: Schema, *optional: str, **members: Any) -> Schema:
    """Return the schema of an object that has all of these properties, but for the `optional` ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required} | members


def ref(name: str) -> Schema:
    """Return a reference to one of `components`."""
    return {"$ref": f"#/components/schemas/{name}"}


def components(class_names: list[str], image_size: int) -> dict[str, Schema]:
    """Return all schemas by name, for a model of these classes and this image size (pixels)."""
    return {
        "Prediction": _prediction(class_names),
        "Explanation": _explanation(class_names),
        "Problem": _problem(),
        "OpenInferenceProblem": _open_inference_problem(),
        "Version": _version(class_names, image_size),
        "Live": obj({"live": _TRUE}),
        "Ready": obj({"live": _TRUE, "ready": _TRUE}),
        "ModelReady": obj({"name": STRING, "ready": _TRUE}),
        "ServerMetadata": obj({"name": STRING, "version": STRING, "extensions": {"type": "array", "items": STRING}}),
        "ModelMetadata": _model_metadata(len(class_names), image_size),
        "InferRequest": _infer_request(image_size),
        "InferResponse": _infer_response(len(class_names)),
    }


def _prediction(class_names: list[str]) -> Schema:
    name = {"type": "string", "enum": class_names}
    entry = obj({"class": name, "score": SHARE}, additionalProperties=False)
    top_k = {
        "type": "array",
        "items": entry,
        "minItems": 1,
        "maxItems": len(class_names),
        "description": "The best classes, best first; only where `top_k` asked for them.",
    }
    properties = {"predicted_class": name, "confidence_score": SHARE, "top_k": top_k}
    return obj(properties, "top_k", additionalProperties=False)


def _explanation(class_names: list[str]) -> Schema:
    name = {"type": "string", "enum": class_names}
    row = {"type": "array", "items": SHARE, "minItems": 1}
    grid = {"type": "array", "items": row, "minItems": 1, "description": "The map's rows, top first; 1 is strongest."}
    overlay = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    return obj(
        {
            "predicted_class": name,
            "confidence_score": SHARE,
            "class": name | {"description": "The one that is explained."},
            "score": SHARE,
            "grid": grid,
            "overlay": overlay | {"description": "The image as the model gets it, with the map over it."},
        },
        additionalProperties=False,
    )


def _problem() -> Schema:
    return obj(
        {
            "type": {"type": "string", "format": "uri", "examples": ["urn:image-classifier:corrupt_image"]},
            "title": STRING,
            "status": {"type": "integer", "enum": sorted(set(STATUS.values()))},
            "code": {"type": "string", "enum": list(STATUS), "description": "What to tell errors apart by."},
            "detail": {"type": "string", "description": "What went wrong, for people."},
        },
        description="Problem details (RFC 9457).",
    )


def _open_inference_problem() -> Schema:
    error = {"type": "string", "description": "The same as `detail`, where clients of the protocol look for it."}
    return {"allOf": [ref("Problem"), obj({"error": error})]}


def _version(class_names: list[str], image_size: int) -> Schema:
    return obj(
        {
            "model": {"type": "string", "description": "Tag in the model store."},
            "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the served file."},
            "runtime": STRING,
            "image_size": {"type": "integer", "const": image_size, "description": "Pixels a side."},
            "class_names": {"type": "array", "items": STRING, "const": class_names},
            "image_policy": {"type": "integer", "description": "Version of the rules by which images are decoded."},
            "versions": {"type": "object", "additionalProperties": STRING},
        }
    )


def _described(name: str, datatype: str, shape: list[int]) -> Schema:
    entry = obj({"name": {"const": name}, "datatype": {"const": datatype}, "shape": {"const": shape}})
    return {"type": "array", "items": entry, "minItems": 1, "maxItems": 1}


def _model_metadata(classes: int, image_size: int) -> Schema:
    return obj(
        {
            "name": STRING,
            "versions": {"type": "array", "items": STRING},
            "platform": STRING,
            "inputs": _described(INPUT, "UINT8", [-1, image_size, image_size, 3]),
            "outputs": _described(OUTPUT, "FP32", [-1, classes]),
        }
    )


def _infer_request(image_size: int) -> Schema:
    data = {
        "type": "array",
        "items": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"type": "array"}]},
        "minItems": 1,
        "description": "As many whole numbers from 0 to 255 as the shape says, flat or nested by the shape.",
    }
    size = {
        "type": "integer",
        "minimum": 1,
        "description": "Bytes of the tensor, which follow the JSON; then no `data`.",
    }
    sides = [{"type": "integer", "minimum": 1}, *({"const": side} for side in (image_size, image_size, 3))]
    tensor = {
        "name": {"const": INPUT},
        "datatype": {"const": "UINT8"},
        "shape": {"type": "array", "prefixItems": sides, "minItems": 4, "maxItems": 4},
        "parameters": obj({"binary_data_size": size}, "binary_data_size"),
        "data": data,
    }
    wanted = {
        "name": {"const": OUTPUT},
        "parameters": obj({"binary_data": _FLAG}, "binary_data", **{"not": {"required": ["classification"]}}),
    }
    return obj(
        {
            "id": {"type": "string", "description": "Comes back in the answer."},
            "parameters": obj({"binary_data_output": _FLAG}, "binary_data_output"),
            "inputs": {
                "type": "array",
                "items": obj(tensor, "parameters", "data"),
                "minItems": 1,
                "maxItems": 1,
                "description": "(n, size, size, 3) RGB.",
            },
            "outputs": {"type": "array", "items": obj(wanted, "parameters"), "maxItems": 1},
        },
        "id",
        "parameters",
        "outputs",
    )


def _infer_response(classes: int) -> Schema:
    side = {"type": "integer", "minimum": 1}
    tensor = {
        "name": {"const": OUTPUT},
        "datatype": {"const": "FP32"},
        "shape": {"type": "array", "items": side, "minItems": 2, "maxItems": 2, "description": f"[n, {classes}]"},
        "parameters": obj({"binary_data_size": {"type": "integer"}}),
        "data": {"type": "array", "items": SHARE},
    }
    outputs = {"type": "array", "items": obj(tensor, "parameters", "data"), "minItems": 1, "maxItems": 1}
    return obj({"model_name": STRING, "model_version": STRING, "id": STRING, "outputs": outputs}, "id")
