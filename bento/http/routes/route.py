"""What the table of routes says of each: the record that dispatch and the OpenAPI document are made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from bento.http.request import Answer, Request
from bento.http.schemas import Coverage, Problem, TopK

Handler = Callable[[Request], Awaitable[Answer]]

JSON, PNG, TEXT, HTML, MARKDOWN = "application/json", "image/png", "text/plain", "text/html", "text/markdown"
BYTES, FORM = "application/octet-stream", "multipart/form-data"
IMAGES = (
    *("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"),
    *("image/avif", "image/x-portable-pixmap", "image/x-portable-graymap"),
)

LOADING = ("draining", "not_ready")
"""Errors of a route that needs the model."""
TAKING = ("request_timeout", "payload_too_large", "unsupported_media_type", "queue_full", *LOADING)
"""Errors of a route that takes images."""


@dataclass(frozen=True)
class Field:
    """A parameter of a request, or a header of an answer.

    Attributes:
        name: as a client writes it.
        place: where it stands.
        type: what `bento.http.schemas` calls it, or any type that pydantic can describe.
        description: a sentence.
        required: it is always there.
    """

    name: str
    place: Literal["path", "query", "header"]
    type: Any
    description: str
    required: bool = False


WANTED = (
    Field("top_k", "query", TopK, "How many of the best classes to list."),
    Field("unknown", "query", Literal[0, 1], "1 adds how novel the image is, and whether it is known."),
    Field("coverage", "query", Coverage, "Adds the classes that hold the true one in this share of known images."),
)
"""What the query of a request for classes may ask for; `Request.wanted` reads it."""


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes:
        method: a GET route also answers HEAD.
        path: with `{name}` for a segment that becomes a parameter.
        handler: a method of `Predictor` if `admission` is set, otherwise of `Probes`.
        operation: its stable name in the OpenAPI document; generated clients name their functions by it.
        tag: the group that it is listed under.
        summary: what it does, as an imperative sentence without its full stop.
        description: further sentences.
        parameters: of path, query and header.
        body: the body's type, for each media type it can have.
        answers: the answer's type, for each media type it can have.
        answer: what the answer means, in a sentence.
        headers: of the answer, besides those that every answer has.
        errors: its own codes of `bento.errors.STATUS`; those for keys, heads and failures can come from any route.
        problem: the type of its errors.
        admission: it takes images: it is refused before its body is read if the queue is full, and counted in flight.
        early: the connection itself may refuse it then, without calling the application.
        key: it needs an API key if keys are configured.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[[Any, Request], Awaitable[Answer]]
    _: KW_ONLY
    operation: str
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Field, ...] = ()
    body: Mapping[str, Any] | None = None
    answers: Mapping[str, Any]
    answer: str
    headers: tuple[Field, ...] = ()
    errors: tuple[str, ...] = ()
    problem: Any = Problem
    admission: bool = False
    early: bool = False
    key: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the route answers, as `Allow` lists them."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)
