"""The routes that take encoded images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pydantic

from bento.http.handlers.predictor import Predictor
from bento.http.routes.route import BYTES, FORM, IMAGES, JSON, PNG, TAKING, WANTED, Field, Route
from bento.http.schemas import (
    ClassName,
    Explanation,
    ImageBytes,
    ImageForm,
    ImagesForm,
    Prediction,
    Problem,
)

_FORM = ("missing_file", "malformed_request")
_ONE_IMAGE = ("multiple_files", "image_too_large", "corrupt_image", "deadline_exceeded", *_FORM, *TAKING)

_TIMING = Field(
    "Server-Timing", "header", str, "Milliseconds of each stage, or `cache` (W3C Server Timing).", required=True
)
_IMAGE: Mapping[str, Any] = {
    "tag": "classify",
    "body": {FORM: ImageForm} | dict.fromkeys((*IMAGES, BYTES), ImageBytes),
    "headers": (_TIMING,),
    "admission": True,
    "key": True,
}

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
        errors=("limits_off", *_FORM, *TAKING),
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
)
