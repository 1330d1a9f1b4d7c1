"""The routes of the Open Inference Protocol v2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import pydantic

from bento.http.handlers.predictor import Predictor
from bento.http.handlers.probes import Probes
from bento.http.routes.route import BYTES, JSON, LOADING, TAKING, Field, Route
from bento.http.schemas import (
    InferRequest,
    InferResponse,
    Live,
    ModelMetadata,
    ModelName,
    ModelReady,
    OpenInferenceProblem,
    Positive,
    Ready,
    ServerMetadata,
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
        errors=("not_found", *LOADING),
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
        errors=("not_found", "not_live", *LOADING),
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
        errors=("malformed_request", "not_found", "image_too_large", "corrupt_image", "deadline_exceeded", *TAKING),
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
        errors=("not_live", *LOADING),
        **_V2,
    ),
    *_OF_MODEL,
    *(_of_version(route) for route in _OF_MODEL),
)
