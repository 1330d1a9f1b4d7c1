"""The table of all routes.

Dispatch and `Allow` (`router`), which requests need a key, which the connection refuses early (`gate`), the OpenAPI
document (`openapi`) with the page at /docs, and the table in docs/service.md (`reference`) are all made from it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import pydantic

from bento.http.handlers import Predictor
from bento.http.probes import Probes
from bento.http.route import BYTES, FORM, HTML, IMAGES, JSON, PNG, TEXT, Field, Route
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
    TopK,
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

_IMAGE: dict[str, Any] = {FORM: ImageForm} | dict.fromkeys((*IMAGES, BYTES), ImageBytes)
_TOP_K = Field("top_k", "query", TopK, "How many of the best classes to list.")
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


def _text(path: str, handler: Any, summary: str, answer: str, *errors: str) -> Route:
    return Route("GET", path, handler, path[1:], "health", summary, {TEXT: str}, answer, errors)


def _v2(path: str, handler: Any, operation: str, summary: str, type_: Any, answer: str, *errors: str) -> Route:
    return Route(
        "GET",
        path,
        handler,
        operation,
        "open inference",
        summary,
        {JSON: type_},
        answer,
        errors,
        problem=OpenInferenceProblem,
        parameters=(_NAME,) if "{" in path else (),
    )


_OF_MODEL = (
    _v2(
        "/v2/models/{name}",
        Probes.v2_model,
        "modelMetadata",
        "Model metadata",
        ModelMetadata,
        "The tensors.",
        *("not_found", *_LOADING),
    ),
    _v2(
        "/v2/models/{name}/ready",
        Probes.v2_model_ready,
        "modelReady",
        "Model readiness",
        ModelReady,
        "The model is ready.",
        *("not_found", "not_live", *_LOADING),
    ),
    Route(
        "POST",
        "/v2/models/{name}/infer",
        Predictor.infer,
        "infer",
        "open inference",
        "Infer",
        {JSON: InferResponse, BYTES: bytes},
        "The probabilities.",
        ("malformed_request", "not_found", "deadline_exceeded", *_TAKING),
        description="Tensors of (n, size, size, 3) uint8 RGB, as JSON or by the binary tensor data extension.",
        parameters=(_NAME, _JSON_LENGTH),
        body={JSON: InferRequest, BYTES: bytes},
        headers=(_JSON_LENGTH,),
        problem=OpenInferenceProblem,
        admission=True,
        key=True,
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
        "predict",
        "classify",
        "Classify one image",
        {JSON: Prediction},
        "The class.",
        _ONE_IMAGE,
        description="Send a form with one part `file`, or the image itself. Its bytes decide what format it has.",
        parameters=(_TOP_K,),
        body=_IMAGE,
        headers=(_TIMING,),
        admission=True,
        early=True,
        key=True,
    ),
    Route(
        "POST",
        "/predict/batch",
        Predictor.predict_batch,
        "predictBatch",
        "classify",
        "Classify several images",
        {JSON: Annotated[list[Prediction | Problem], pydantic.Field(min_length=1)]},
        "One entry per image, in the order sent: its class, or its own problem.",
        (*_FORM, *_TAKING),
        description="Send a form with several parts `file`.",
        parameters=(_TOP_K,),
        body={FORM: ImagesForm},
        admission=True,
        key=True,
    ),
    Route(
        "POST",
        "/explain",
        Predictor.explain,
        "explain",
        "classify",
        "Show which places of an image speak for a class",
        {JSON: Explanation, PNG: bytes},
        "The map, as numbers and drawn.",
        ("explanations_off", *_ONE_IMAGE),
        description="Grad-CAM of an image sent as to `/predict`. `Accept: image/png` asks for the picture alone.",
        parameters=(Field("class", "query", ClassName, "The class to explain; by default the predicted one."),),
        body=_IMAGE,
        headers=(_TIMING,),
        admission=True,
        key=True,
    ),
    _v2("/v2", Probes.v2, "serverMetadata", "Server metadata", ServerMetadata, "What the server can do."),
    _v2("/v2/health/live", Probes.v2_live, "serverLive", "Liveness", Live, "The server is alive.", "not_live"),
    _v2(
        "/v2/health/ready",
        Probes.v2_ready,
        "serverReady",
        "Readiness",
        Ready,
        "The server is ready.",
        *("not_live", *_LOADING),
    ),
    *_OF_MODEL,
    *(_of_version(route) for route in _OF_MODEL),
    _text("/livez", Probes.livez, "Liveness", "The process answers and the model returns.", "not_live"),
    _text("/healthz", Probes.livez, "Liveness, by its older name", "As for `/livez`.", "not_live"),
    _text("/readyz", Probes.readyz, "Readiness", "The service takes requests.", "not_live", *_LOADING),
    _text("/metrics", Probes.metrics, "Metrics", "The Prometheus text format."),
    Route(
        "GET",
        "/version",
        Probes.version,
        "version",
        "about",
        "What is running",
        {JSON: Version},
        "The model and the libraries.",
        _LOADING,
    ),
    Route(
        "GET",
        "/openapi.json",
        Probes.document,
        "openapi",
        "about",
        "This document",
        {JSON: dict[str, Any]},
        "OpenAPI 3.1.",
    ),
    Route("GET", "/docs", Probes.file, "docs", "about", "This document, to read and try", {HTML: str}, "A page."),
    Route("GET", "/", Probes.file, "page", "about", "A page to drop images on", {HTML: str}, "A page."),
)
"""Every route of the service. Files that the pages load are served beside it."""
