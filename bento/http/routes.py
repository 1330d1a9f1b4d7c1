"""The table of all routes.

Dispatch and `Allow` (`router`), which requests need a key, which the connection refuses early (`gate`), the OpenAPI
document (`openapi`) with the page at /docs, and the table in docs/service.md (`reference`) are all made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import pydantic

from bento.http.handlers import Predictor
from bento.http.probes import Probes
from bento.http.route import BYTES, FORM, HTML, IMAGES, JSON, PNG, TEXT, WANTED, Field, Route
from bento.http.schemas import (
    ClassName,
    Explanation,
    ImageBytes,
    ImageForm,
    ImagesForm,
    InferRequest,
    InferResponse,
    Live,
    ModelMetadata,
    ModelName,
    ModelReady,
    OpenInferenceProblem,
    Positive,
    Prediction,
    Problem,
    Ready,
    ServerMetadata,
    Version,
)

TAGS = {
    "classify": "Encoded images in, classes out.",
    "open inference": "Open Inference Protocol v2: tensors in, probabilities out.",
    "health": "For orchestrators and monitoring.",
    "about": "What is running, and how to use it.",
}

_LOADING = ("draining", "not_ready")
_TAKING = ("request_timeout", "payload_too_large", "unsupported_media_type", "queue_full", *_LOADING)
_FORM = ("missing_file", "malformed_request")
_ONE_IMAGE = ("multiple_files", "image_too_large", "corrupt_image", "deadline_exceeded", *_FORM, *_TAKING)

_TIMING = Field(
    "Server-Timing", "header", str, "Milliseconds of each stage, or `cache` (W3C Server Timing).", required=True
)
_JSON_LENGTH = Field(
    "Inference-Header-Content-Length",
    "header",
    Positive,
    "Bytes of JSON, which the tensor's bytes follow (binary tensor data extension).",
)
_NAME = Field("name", "path", ModelName, "The model's name.", required=True)
_VERSION = Field(
    "version",
    "path",
    Annotated[str, pydantic.Field(min_length=1)],
    "The part of the model's tag after the colon.",
    required=True,
)


_V2: Mapping[str, Any] = {"tag": "open inference", "problem": OpenInferenceProblem}
_PROBE: Mapping[str, Any] = {"tag": "health", "answers": {TEXT: str}}
_PAGE: Mapping[str, Any] = {"tag": "about", "answers": {HTML: str}, "answer": "A page."}
_IMAGE: Mapping[str, Any] = {
    "tag": "classify",
    "body": {FORM: ImageForm} | dict.fromkeys((*IMAGES, BYTES), ImageBytes),
    "headers": (_TIMING,),
    "admission": True,
    "key": True,
}

_OF_MODEL = (
    Route(
        "GET",
        "/v2/models/{name}",
        Probes.v2_model,
        operation="modelMetadata",
        summary="Describe the model's tensors",
        parameters=(_NAME,),
        answers={JSON: ModelMetadata},
        answer="The tensors.",
        errors=("not_found", *_LOADING),
        **_V2,
    ),
    Route(
        "GET",
        "/v2/models/{name}/ready",
        Probes.v2_model_ready,
        operation="modelReady",
        summary="Report whether the model is ready",
        parameters=(_NAME,),
        answers={JSON: ModelReady},
        answer="The model is ready.",
        errors=("not_found", "not_live", *_LOADING),
        **_V2,
    ),
    Route(
        "POST",
        "/v2/models/{name}/infer",
        Predictor.infer,
        operation="infer",
        summary="Classify tensors",
        description="Send UINT8 RGB pixels, (n, size, size, 3), or BYTES, (n) encoded images, as JSON or binary data.",
        parameters=(_NAME, _JSON_LENGTH),
        body={JSON: InferRequest, BYTES: bytes},
        answers={JSON: InferResponse, BYTES: bytes},
        answer="The probabilities.",
        headers=(_JSON_LENGTH,),
        errors=("malformed_request", "not_found", "image_too_large", "corrupt_image", "deadline_exceeded", *_TAKING),
        admission=True,
        key=True,
        **_V2,
    ),
)


def _of_version(route: Route) -> Route:
    return replace(
        route,
        path=route.path.replace("{name}", "{name}/versions/{version}"),
        operation=f"{route.operation}OfVersion",
        parameters=(_NAME, _VERSION, *route.parameters[1:]),
    )


ROUTES = (
    Route(
        "POST",
        "/predict",
        Predictor.predict,
        operation="predict",
        summary="Classify one image",
        description="Send multipart/form-data with the image in the field `file`, or the image itself as the body with "
        "`Content-Type: image/*` or `application/octet-stream`. `?top_k=N` adds the N best classes, N from 1 to "
        "9999; `?unknown=1` how novel the image is; `?coverage=0.95` classes that hold the true one in 95% of cases.",
        parameters=WANTED,
        answers={JSON: Prediction},
        answer="The class.",
        errors=("limits_off", *_ONE_IMAGE),
        early=True,
        **_IMAGE,
    ),
    Route(
        "POST",
        "/predict/batch",
        Predictor.predict_batch,
        operation="predictBatch",
        tag="classify",
        summary="Classify several images",
        description="Send multipart/form-data with several fields `file`. The answer is a list in their order, with a "
        "class or a problem for each image. The query works as for `/predict`.",
        parameters=WANTED,
        body={FORM: ImagesForm},
        answers={JSON: Annotated[list[Prediction | Problem], pydantic.Field(min_length=1)]},
        answer="One entry per image, in the order sent: its class, or its own problem.",
        errors=("limits_off", *_FORM, *_TAKING),
        admission=True,
        key=True,
    ),
    Route(
        "POST",
        "/explain",
        Predictor.explain,
        operation="explain",
        summary="Show the parts of an image that support a class",
        description="Grad-CAM of an image sent as to `/predict`; needs `RUNTIME=keras`. `?class=NAME` chooses the "
        "class, by default the predicted one. `Accept: image/png` asks for the picture alone.",
        parameters=(Field("class", "query", ClassName, "The class to explain; by default the predicted one."),),
        answers={JSON: Explanation, PNG: bytes},
        answer="The map, as numbers and drawn.",
        errors=("explanations_off", *_ONE_IMAGE),
        **_IMAGE,
    ),
    Route(
        "GET",
        "/v2",
        Probes.v2,
        operation="serverMetadata",
        summary="Report what the server can do",
        answers={JSON: ServerMetadata},
        answer="The server's version, and the extensions that it knows.",
        **_V2,
    ),
    Route(
        "GET",
        "/v2/health/live",
        Probes.v2_live,
        operation="serverLive",
        summary="Report whether the service is live",
        answers={JSON: Live},
        answer="The service is live.",
        errors=("not_live",),
        **_V2,
    ),
    Route(
        "GET",
        "/v2/health/ready",
        Probes.v2_ready,
        operation="serverReady",
        summary="Report whether the service is ready",
        answers={JSON: Ready},
        answer="The service is ready.",
        errors=("not_live", *_LOADING),
        **_V2,
    ),
    *_OF_MODEL,
    *(_of_version(route) for route in _OF_MODEL),
    Route(
        "GET",
        "/livez",
        Probes.livez,
        operation="livez",
        summary="Report whether the service is live",
        description="It is live while the process answers and no call of the model hangs.",
        answer="The service is live.",
        errors=("not_live",),
        **_PROBE,
    ),
    Route(
        "GET",
        "/healthz",
        Probes.livez,
        operation="healthz",
        summary="Report whether the service is live",
        description="This is the older name of `/livez`.",
        answer="The service is live.",
        errors=("not_live",),
        **_PROBE,
    ),
    Route(
        "GET",
        "/readyz",
        Probes.readyz,
        operation="readyz",
        summary="Report whether the service is ready",
        description="It is ready from the end of the warm-up until SIGTERM, except while a call of the model hangs.",
        answer="The service is ready.",
        errors=("not_live", *_LOADING),
        **_PROBE,
    ),
    Route(
        "GET",
        "/metrics",
        Probes.metrics,
        operation="metrics",
        summary="Return the metrics in the Prometheus text format",
        answer="The metrics.",
        **_PROBE,
    ),
    Route(
        "GET",
        "/version",
        Probes.version,
        operation="version",
        tag="about",
        summary="Report what is running",
        description="The answer has the model's tag, digest and classes, and the versions that answers depend on.",
        answers={JSON: Version},
        answer="The model and the libraries.",
        errors=_LOADING,
    ),
    Route(
        "GET",
        "/openapi.json",
        Probes.document,
        operation="openapi",
        tag="about",
        summary="Return the OpenAPI 3.1 document of all routes",
        answers={JSON: dict[str, Any]},
        answer="This document.",
    ),
    Route(
        "GET",
        "/docs",
        Probes.file,
        operation="docs",
        summary="Show the OpenAPI document, to read and try",
        **_PAGE,
    ),
    Route(
        "GET",
        "/",
        Probes.file,
        operation="page",
        summary="Show a page to drop images on",
        **_PAGE,
    ),
)
"""Every route of the service. The files that the pages load are served too, and are in no table."""
