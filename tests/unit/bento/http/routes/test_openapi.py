from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from bento.errors import STATUS, RequestError
from bento.http.routes.openapi import document
from bento.http.routes.table import ROUTES, TAGS
from bento.models.model import ServedModel

SERVED = ServedModel("image_classifier:v1", "onnx", Path("model.onnx"), ["cat", "<dog>"], 8)


def describe(api_keys: bool) -> dict[str, Any]:
    return document(ROUTES, TAGS, SERVED, api_keys)


@pytest.fixture
def described() -> dict[str, Any]:
    return describe(api_keys=False)


@pytest.mark.parametrize("api_keys", [False, True])
def test_the_document_is_valid_openapi_3_1(api_keys: bool) -> None:
    made = describe(api_keys)
    assert list(jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(made)) == []
    for name, schema in made["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


@pytest.mark.parametrize("root", ["http://h", "http://h/models/cats"])
def test_paths_are_relative_to_the_document(described: dict[str, Any], root: str) -> None:
    """The kind: an absolute address or path breaks below a path prefix, which the service can't know."""
    (server,) = described["servers"]
    assert urljoin(f"{root}/openapi.json", server["url"]).rstrip("/") == root


def test_every_reference_is_defined_and_every_schema_is_used(described: dict[str, Any]) -> None:
    named = {part.split('"')[0] for part in json.dumps(described).split('"#/components/schemas/')[1:]}
    assert named == set(described["components"]["schemas"])


def test_every_code_can_come_from_some_route() -> None:
    codes: set[str] = set()
    for item in describe(api_keys=True)["paths"].values():
        for operation in (item[method] for method in item if method != "parameters"):
            for status, answer in operation["responses"].items():
                if status != "200":
                    schema = answer["content"]["application/problem+json"]["schema"]
                    codes |= set(schema["allOf"][1]["properties"]["code"]["enum"])
    # The document lists only the methods that a route answers.
    assert codes == set(STATUS) - {"method_not_allowed"}


def test_the_document_asks_for_keys_only_if_keys_are_configured(described: dict[str, Any]) -> None:
    assert "security" not in json.dumps(described)
    assert "unauthorized" not in described["paths"]["/predict"]["post"]["responses"]
    for path, item in describe(api_keys=True)["paths"].items():
        assert "get" in item or item["post"]["security"] == [{"key": []}, {"bearer": []}], path


def test_an_answer_has_the_classes_of_the_model(described: dict[str, Any]) -> None:
    components = {"components": described["components"]}
    prediction = jsonschema_rs.Draft202012Validator({"$ref": "#/components/schemas/Prediction"} | components)
    assert prediction.is_valid({"predicted_class": "<dog>", "confidence_score": 0.5})
    assert prediction.is_valid(
        {"predicted_class": "cat", "confidence_score": 1, "top_k": [{"class": "cat", "score": 1}]}
    )
    assert not prediction.is_valid({"predicted_class": "bird", "confidence_score": 0.5})
    assert not prediction.is_valid({"predicted_class": "cat", "confidence_score": 1.5})
    assert not prediction.is_valid({"predicted_class": "cat", "confidence_score": 1, "more": 1})


def test_the_documents_routes_are_those_of_the_service(described: dict[str, Any]) -> None:
    methods = {
        path: [method.upper() for method in item if method != "parameters"] for path, item in described["paths"].items()
    }
    assert methods == {route.path: [route.method] for route in ROUTES}


def codes(described: dict[str, Any], path: str) -> set[str]:
    """Return the codes that the document gives for the route's errors."""
    (operation,) = described["paths"][path].values()
    return {
        code
        for status, answer in operation["responses"].items()
        if status != "200"
        for code in answer["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    }


def test_a_hanging_model_is_documented_wherever_it_is_answered(described: dict[str, Any]) -> None:
    model = "/v2/models/{name}"
    ready = ("/readyz", "/v2/health/ready", f"{model}/ready", f"{model}/versions/{{version}}/ready")
    answering = {route.path for route in ROUTES if "not_live" in codes(described, route.path)}
    assert answering == {"/livez", "/healthz", "/v2/health/live", *ready}


def test_every_answer_to_try_again_later_is_documented_with_the_time_that_it_carries(described: dict[str, Any]) -> None:
    """What the document and the page on the service promise of an error is what `RequestError` writes."""
    passing = {code for code, status in STATUS.items() if status in (429, 503)}
    assert passing == {code for code in STATUS if b"retry-after" in dict(RequestError(code, "").headers)}
    for route in ROUTES:
        answers = described["paths"][route.path][route.method.lower()]["responses"]
        for status, answer in answers.items():
            promised = answer["headers"].get("Retry-After", {}).get("required", False)
            assert promised == (status in ("429", "503")), (route.path, status)


def test_a_compressed_body_is_documented_wherever_a_body_is_read(described: dict[str, Any]) -> None:
    refusing = {route.path for route in ROUTES if "unsupported_media_type" in codes(described, route.path)}
    assert refusing == {route.path for route in ROUTES if route.method == "POST"}


def test_operations_have_names_of_their_own(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)
