from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from bento.errors import STATUS
from bento.http.openapi import document
from bento.http.routes import ROUTES


@pytest.fixture
def described() -> dict[str, Any]:
    return document(["cat", "<dog>"], 8, "image_classifier", "1.2.3", api_keys=False)


@pytest.mark.parametrize("api_keys", [False, True])
def test_the_document_is_valid_openapi_3_1(api_keys: bool) -> None:
    made = document(["cat", "<dog>"], 8, "image_classifier", "1.2.3", api_keys)
    assert list(jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(made)) == []
    for name, schema in made["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_references_lead_somewhere(described: dict[str, Any]) -> None:
    named = {part.split('"')[0] for part in json.dumps(described).split('"#/components/schemas/')[1:]}
    assert named == set(described["components"]["schemas"])


def test_every_code_can_come_from_some_route() -> None:
    codes: set[str] = set()
    for item in document(["a"], 8, "m", "1", api_keys=True)["paths"].values():
        for operation in (item[method] for method in item if method != "parameters"):
            for status, answer in operation["responses"].items():
                if status != "200":
                    schema = answer["content"]["application/problem+json"]["schema"]
                    codes |= set(schema["allOf"][1]["properties"]["code"]["enum"])
    # No route of the document takes a wrong method.
    assert codes == set(STATUS) - {"method_not_allowed"}


def test_keys_are_asked_for_only_where_they_are_set(described: dict[str, Any]) -> None:
    assert "security" not in json.dumps(described)
    assert "unauthorized" not in described["paths"]["/predict"]["post"]["responses"]
    for path, item in document(["a"], 8, "m", "1", api_keys=True)["paths"].items():
        assert "get" in item or item["post"]["security"] == [{"key": []}, {"bearer": []}], path


def test_an_answer_has_the_classes_of_the_model(described: dict[str, Any]) -> None:
    prediction = jsonschema_rs.Draft202012Validator(described["components"]["schemas"]["Prediction"])
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
    assert methods == {path: [method] for path, method in ROUTES.items()}
