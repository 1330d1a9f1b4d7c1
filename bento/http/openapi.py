"""The OpenAPI 3.1 document of all routes, with every status and code that each can give. Serves nothing."""

from __future__ import annotations

from typing import Any

from bento.errors import PROBLEM_JSON, STATUS
from bento.http.openapi_schemas import BINARY, Schema, components, obj, ref

Operation = dict[str, Any]

_MEANINGS = {
    "missing_file": "no field `file`, or an empty body",
    "multiple_files": "more than one field `file`",
    "malformed_request": "the body or a parameter can't be read",
    "unauthorized": "no valid API key",
    "not_found": "no such model, or not of this version",
    "explanations_off": "the service runs a form of the model that can't be explained; `RUNTIME=keras` can",
    "request_timeout": "the body took too long to arrive",
    "payload_too_large": "the body has too many bytes",
    "image_too_large": "the image has too many pixels",
    "unsupported_media_type": "the bytes are no JPEG, PNG, WebP, GIF, BMP or TIFF",
    "corrupt_image": "the image is truncated or can't be decoded",
    "queue_full": "too many images are waiting",
    "headers_too_large": "the request's head has too many bytes",
    "internal_error": "a failure of the server's own; its log says more",
    "deadline_exceeded": "the answer would have come too late",
    "draining": "the server is shutting down",
    "not_ready": "the model is being loaded",
    "not_live": "a call of the model doesn't return",
}
_ALWAYS = ("headers_too_large", "internal_error")
_RECEIVING = ("request_timeout", "payload_too_large", "queue_full", "draining", "not_ready")
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")


def document(class_names: list[str], image_size: int, name: str, version: str, api_keys: bool) -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        class_names: the model's, in label order.
        image_size: pixels a side.
        name: the model's, in paths of the Open Inference Protocol.
        version: the project's.
        api_keys: POST routes want a key.
    """
    keys = ("unauthorized",) if api_keys else ()
    paths = {
        "/predict": {"post": _predict(keys)},
        "/predict/batch": {"post": _predict_batch(keys)},
        "/explain": {"post": _explain(class_names, keys)},
        **_open_inference(name, keys),
        **_health(),
        **_about(),
    }
    schemas = components(class_names, image_size)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Image classifier",
            "version": version,
            "description": f"Classifies images as one of {len(class_names)} classes. Errors are problem details "
            "(RFC 9457) with a stable `code`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "classify", "description": "Encoded images in, classes out."},
            {"name": "open inference", "description": "Open Inference Protocol v2: tensors in, probabilities out."},
            {"name": "health", "description": "For orchestrators and monitoring."},
            {"name": "about", "description": "What is running, and how to use it."},
        ],
        "paths": paths,
        "components": {"schemas": schemas} | ({"securitySchemes": _SECURITY_SCHEMES} if api_keys else {}),
    }


_SECURITY_SCHEMES: dict[str, Schema] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def _operation(
    tag: str, id_: str, summary: str, ok: Operation, *codes: str, problem: str = "Problem", **members: Any
) -> Operation:
    """Describe an operation that answers `ok`, or a problem with one of `codes`."""
    secured: Operation = {"security": [{scheme: []} for scheme in _SECURITY_SCHEMES]} if "unauthorized" in codes else {}
    answers = {"200": ok} | _problems((*codes, *_ALWAYS), problem)
    return {"tags": [tag], "operationId": id_, "summary": summary, "responses": answers} | secured | members


def _problems(codes: tuple[str, ...], schema: str) -> dict[str, Operation]:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    return {str(status): _problem(status, by_status[status], schema) for status in sorted(by_status)}


def _problem(status: int, codes: list[str], schema: str) -> Operation:
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    headers = {}
    if status in (429, 503) and codes != ["not_live"]:
        headers["Retry-After"] = _header({"type": "integer", "minimum": 1}, "Seconds.")
    if status == 401:
        headers["WWW-Authenticate"] = _header({"type": "string"}, "How to authenticate.")
    meanings = "; ".join(f"`{code}`: {_MEANINGS[code]}" for code in codes)
    return _answer(meanings, PROBLEM_JSON.decode(), {"allOf": [ref(schema), narrowed]}, headers)


def _answer(description: str, media_type: str, schema: Schema, headers: Schema | None = None) -> Operation:
    always = {
        "X-Model-Version": _header({"type": "string"}, "Tag of the served model."),
        "X-Request-ID": _header({"type": "string"}, "The request's own, or a new one."),
    }
    content = {media_type: {"schema": schema}}
    return {"description": description, "headers": always | (headers or {}), "content": content}


def _header(schema: Schema, description: str, required: bool = True) -> Schema:
    return {"description": description, "required": required, "schema": schema}


def _text(description: str) -> Operation:
    return _answer(description, "text/plain", {"type": "string"})


def _json(description: str, schema: str) -> Operation:
    return _answer(description, "application/json", ref(schema))


def _form(file: Schema) -> Operation:
    parts = ", ".join((*_IMAGE_TYPES, "application/octet-stream"))
    return {"multipart/form-data": {"schema": obj({"file": file}), "encoding": {"file": {"contentType": parts}}}}


_TOP_K = {
    "name": "top_k",
    "in": "query",
    "description": "List so many of the best classes.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 9999},
}


_TIMING = {"Server-Timing": _header({"type": "string"}, "Milliseconds of each stage, or `cache` (W3C Server Timing).")}


def _predict(keys: tuple[str, ...]) -> Operation:
    ok = _answer("The class.", "application/json", ref("Prediction"), _TIMING)
    return _operation(
        "classify",
        "predict",
        "Classify one image",
        ok,
        *("missing_file", "multiple_files", "malformed_request", *keys, *_RECEIVING),
        *("image_too_large", "unsupported_media_type", "corrupt_image", "deadline_exceeded"),
        description="As a form with one part `file`, or as the image itself. Its bytes decide what it is.",
        parameters=[_TOP_K],
        requestBody=_one_image(),
    )


def _one_image() -> Operation:
    raw = {kind: {"schema": BINARY | {"minLength": 1}} for kind in (*_IMAGE_TYPES, "application/octet-stream")}
    return {"required": True, "content": _form(BINARY) | raw}


def _explain(class_names: list[str], keys: tuple[str, ...]) -> Operation:
    ok = _answer("The map, as numbers and drawn.", "application/json", ref("Explanation"), _TIMING)
    ok["content"]["image/png"] = {"schema": BINARY}
    about = "The class to explain; else the predicted one."
    wanted = {"name": "class", "in": "query", "description": about, "schema": {"type": "string", "enum": class_names}}
    return _operation(
        "classify",
        "explain",
        "Show which places of an image speak for a class",
        ok,
        *("missing_file", "multiple_files", "malformed_request", "explanations_off", *keys, *_RECEIVING),
        *("image_too_large", "unsupported_media_type", "corrupt_image", "deadline_exceeded"),
        description="Grad-CAM, of an image sent as to `/predict`. `Accept: image/png` asks for the picture alone.",
        parameters=[wanted],
        requestBody=_one_image(),
    )


def _predict_batch(keys: tuple[str, ...]) -> Operation:
    entry = {"oneOf": [ref("Prediction"), ref("Problem")]}
    ok = _answer(
        "An entry an image, in the order sent: its class, or its own problem.",
        "application/json",
        {"type": "array", "items": entry, "minItems": 1},
    )
    return _operation(
        "classify",
        "predictBatch",
        "Classify several images",
        ok,
        *("missing_file", "malformed_request", *keys, *_RECEIVING),
        parameters=[_TOP_K],
        requestBody={"required": True, "content": _form({"type": "array", "items": BINARY, "minItems": 1})},
    )


def _open_inference(name: str, keys: tuple[str, ...]) -> dict[str, Operation]:
    def get(id_: str, summary: str, ok: Operation, *codes: str) -> Operation:
        return {"get": _operation("open inference", id_, summary, ok, *codes, problem="OpenInferenceProblem")}

    paths = {
        "/v2": get("serverMetadata", "Server metadata", _json("What the server can do.", "ServerMetadata")),
        "/v2/health/live": get("serverLive", "Liveness", _json("It lives.", "Live"), "not_live"),
        "/v2/health/ready": get("serverReady", "Readiness", _json("It is ready.", "Ready"), "draining", "not_ready"),
    }
    unavailable = ("not_found", "draining", "not_ready")
    for path, suffix, parameters in (
        ("/v2/models/{name}", "", [_path_parameter("name", {"const": name})]),
        (
            "/v2/models/{name}/versions/{version}",
            "OfVersion",
            [
                _path_parameter("name", {"const": name}),
                _path_parameter("version", {"minLength": 1, "description": "What follows the `:` of the model's tag."}),
            ],
        ),
    ):
        of_model = {
            "": get(f"modelMetadata{suffix}", "Model metadata", _json("The tensors.", "ModelMetadata"), *unavailable),
            "/ready": get(f"modelReady{suffix}", "Model readiness", _json("It is ready.", "ModelReady"), *unavailable),
            "/infer": {"post": _infer(f"infer{suffix}", keys)},
        }
        paths |= {path + end: {"parameters": parameters} | item for end, item in of_model.items()}
    return paths


def _path_parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"} | schema}


def _infer(id_: str, keys: tuple[str, ...]) -> Operation:
    json_length = {"type": "integer", "minimum": 1}
    about = "Bytes of JSON, which the tensor's bytes follow (binary tensor data extension)."
    header = {"name": "Inference-Header-Content-Length", "in": "header", "description": about, "schema": json_length}
    ok = _json("The probabilities.", "InferResponse")
    ok["headers"]["Inference-Header-Content-Length"] = _header(json_length, about, required=False)
    ok["content"]["application/octet-stream"] = {"schema": BINARY}
    request = {"application/json": {"schema": ref("InferRequest")}, "application/octet-stream": {"schema": BINARY}}
    return _operation(
        "open inference",
        id_,
        "Infer",
        ok,
        *("malformed_request", "not_found", "deadline_exceeded", *keys, *_RECEIVING),
        problem="OpenInferenceProblem",
        parameters=[header],
        requestBody={"required": True, "content": request},
    )


def _health() -> dict[str, Operation]:
    def get(id_: str, summary: str, ok: str, *codes: str) -> Operation:
        return {"get": _operation("health", id_, summary, _text(ok), *codes)}

    return {
        "/livez": get("livez", "Liveness", "It lives.", "not_live"),
        "/healthz": get("healthz", "Liveness, by its older name", "It lives.", "not_live"),
        "/readyz": get("readyz", "Readiness", "Requests are welcome.", "draining", "not_ready"),
        "/metrics": get("metrics", "Metrics", "The Prometheus text format."),
    }


def _about() -> dict[str, Operation]:
    def page(id_: str, summary: str) -> Operation:
        return {"get": _operation("about", id_, summary, _answer("A page.", "text/html", {"type": "string"}))}

    described = _json("The model and the libraries.", "Version")
    itself = _answer("OpenAPI 3.1.", "application/json", {"type": "object"})
    return {
        "/version": {"get": _operation("about", "version", "What is running", described, "draining", "not_ready")},
        "/openapi.json": {"get": _operation("about", "openapi", "This document", itself)},
        "/docs": page("docs", "This document, to read and try"),
        "/": page("page", "A page to drop images on"),
    }
