"""The OpenAPI 3.1 document, made from the table of routes and the types that it names. Serves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

import imaging
from bento.errors import PASSING, PROBLEM_JSON, STATUS
from bento.http.handlers.about import outputs
from bento.http.routes.route import BYTES, FORM, IMAGES, Field, Route
from bento.http.schemas import Positive
from bento.models.model import ServedModel
from bento.version import VERSION

Json = dict[str, Any]

_MEANINGS = {
    "missing_file": "there is no field `file`, or the body is empty",
    "multiple_files": "there is more than one field `file`",
    "malformed_request": "the body or a parameter can't be read",
    "unauthorized": "no valid API key",
    "not_found": "there is no such model, or not of this version",
    "explanations_off": "the service runs a form of the model that can't be explained; `RUNTIME=keras` can",
    "limits_off": "the model was stored without what `unknown` and `coverage` need",
    "no_card": "the model was stored without a card",
    "request_timeout": "the body took too long to arrive",
    "payload_too_large": "the body has too many bytes",
    "image_too_large": "the image has too many pixels",
    "unsupported_media_type": f"the bytes are none of {imaging.SUPPORTED}, or the body is compressed",
    "corrupt_image": "the image is truncated or can't be decoded",
    "queue_full": "too many images are waiting",
    "headers_too_large": "the head of the request has too many bytes",
    "internal_error": "the server failed; its log says more",
    "deadline_exceeded": "the answer would have come too late",
    "draining": "the server is shutting down",
    "not_ready": "the model is being loaded",
    "not_live": "a call of the model doesn't return",
}
_ALWAYS = ("headers_too_large", "internal_error")
_SECURITY: Json = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_EVERY_ANSWER = (
    Field("X-Model-Version", "header", str, "Tag of the served model.", required=True),
    Field("X-Request-ID", "header", str, "The request's own, or a new one.", required=True),
)
_RETRY_AFTER = Field("Retry-After", "header", Positive, "Seconds.", required=True)
_CHALLENGE = Field("WWW-Authenticate", "header", str, "How to authenticate.", required=True)


def document(routes: Sequence[Route], tags: Mapping[str, str], served: ServedModel, api_keys: bool) -> Json:
    """Return the OpenAPI document.

    Args:
        routes: those to describe.
        tags: what each tag is.
        served: the model, whose classes and image size the schemas name.
        api_keys: API keys are configured.
    """
    return _Document(routes, served, api_keys).whole(tags)


class _Titleless(GenerateJsonSchema):
    """Schemas without the titles that repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Document:
    """One document that is being made."""

    def __init__(self, routes: Sequence[Route], served: ServedModel, api_keys: bool) -> None:
        self._routes = routes
        self._served = served
        self._api_keys = api_keys
        # By identity, because not every type has a hash.
        types = {id(type_): type_ for route in routes for type_ in _types(route)}
        mode: JsonSchemaMode = "validation"
        schemas, definitions = TypeAdapter.json_schemas(
            [(key, mode, TypeAdapter(type_)) for key, type_ in types.items()],
            schema_generator=_Titleless,
            ref_template="#/components/schemas/{model}",
        )
        self._schemas = {key: schema for (key, _), schema in schemas.items()}
        self._components: Json = definitions["$defs"]
        for name, narrowed in self._narrowed().items():
            if name in self._components:
                self._components[name] |= narrowed

    def _narrowed(self) -> dict[str, Json]:
        """Return what the served model adds to the types that depend on it."""
        served = self._served
        return {
            "ClassName": {"enum": served.class_names},
            "ClassNames": {"const": served.class_names},
            "ClassCount": {"const": len(served.class_names)},
            "Scores": {"maxItems": len(served.class_names)},
            "ImageSize": {"const": served.image_size},
            "OutputName": {"enum": [output["name"] for output in outputs(served)]},
            "ModelName": {"const": served.tag.partition(":")[0]},
        }

    def whole(self, tags: Mapping[str, str]) -> Json:
        paths: Json = {}
        for route in self._routes:
            paths[route.path] = {route.method.lower(): self._operation(route)}
        used = {route.tag for route in self._routes}
        count = len(self._served.class_names)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Image classifier",
                "version": VERSION,
                "description": f"Classifies images as one of {count} classes. Errors are problem details "
                "(RFC 9457) with a stable `code`.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            # By default it would be "/", which is wrong behind a gateway that serves this service below a path.
            "servers": [{"url": "."}],
            "tags": [{"name": name, "description": tags[name]} for name in tags if name in used],
            "paths": paths,
            "components": {"schemas": self._components} | ({"securitySchemes": _SECURITY} if self._api_keys else {}),
        }

    def _operation(self, route: Route) -> Json:
        secured = route.key and self._api_keys
        codes = (*route.errors, *(("unauthorized",) if secured else ()), *_ALWAYS)
        ok = {
            "description": route.answer,
            "headers": self._headers((*_EVERY_ANSWER, *route.headers)),
            "content": {kind: {"schema": self._schema(type_)} for kind, type_ in route.answers.items()},
        }
        operation: Json = {
            "tags": [route.tag],
            "operationId": route.operation,
            "summary": route.summary,
            "description": route.description,
            "parameters": [self._parameter(field) for field in route.parameters],
            "requestBody": {"required": True, "content": self._body(route.body)} if route.body else None,
            "responses": {"200": ok} | self._problems(codes, route.problem),
            "security": [{scheme: []} for scheme in _SECURITY] if secured else None,
        }
        return {name: member for name, member in operation.items() if member}

    def _schema(self, type_: Any) -> Json:
        return self._schemas[id(type_)]

    def _parameter(self, field: Field) -> Json:
        place = {"name": field.name, "in": field.place}
        return place | self._described(field)

    def _headers(self, fields: Iterable[Field]) -> Json:
        return {field.name: self._described(field) for field in fields}

    def _described(self, field: Field) -> Json:
        return {
            "description": field.description,
            "required": field.required,
            "schema": self._schema(field.type),
        }

    def _body(self, types: Mapping[str, Any]) -> Json:
        content: Json = {kind: {"schema": self._schema(type_)} for kind, type_ in types.items()}
        if FORM in content:
            content[FORM]["encoding"] = {"file": {"contentType": ", ".join((*IMAGES, BYTES))}}
        return content

    def _problems(self, codes: Iterable[str], type_: Any) -> Json:
        by_status: dict[int, list[str]] = {}
        for code in sorted(codes, key=[*STATUS].index):
            by_status.setdefault(STATUS[code], []).append(code)
        return {str(status): self._problem(status, found, type_) for status, found in by_status.items()}

    def _problem(self, status: int, codes: list[str], type_: Any) -> Json:
        fields = list(_EVERY_ANSWER)
        if status in PASSING:
            fields.append(_RETRY_AFTER)
        if status == 401:
            fields.append(_CHALLENGE)
        narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
        return {
            "description": "; ".join(f"`{code}`: {_MEANINGS[code]}" for code in codes),
            "headers": self._headers(fields),
            "content": {PROBLEM_JSON.decode(): {"schema": {"allOf": [self._schema(type_), narrowed]}}},
        }


def _types(route: Route) -> list[Any]:
    fields = (*route.parameters, *route.headers, *_EVERY_ANSWER, _RETRY_AFTER, _CHALLENGE)
    return [
        *route.answers.values(),
        *(route.body or {}).values(),
        *(field.type for field in fields),
        route.problem,
    ]
